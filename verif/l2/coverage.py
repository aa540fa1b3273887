"""Coverage plan of L2 (`docs/l2.md`): what each burst is, and what else the port has in flight when it starts."""

from verif.common.coverage import Plan

__all__ = ["BLOCK", "L2Coverage"]

BLOCK = "l2"
_POINTS = {
    "cp_direction": ["read", "write"],
    "cp_chunk": ["first", "last", "between"],
    "cp_beats": ["one", "some", "all"],
    "cp_first": ["first beat", "later"],
    "cp_strobe": ["none", "some", "all"],
    "cp_beside": ["nothing", "reads", "writes", "both"],
    "cp_stall": ["rough", "calm"],
}
_CROSSES = {
    "cp_direction_chunk": (["cp_direction", "cp_chunk"], None),
    "cp_direction_beats_first": (
        ["cp_direction", "cp_beats", "cp_first"], lambda direction, beats, first: beats == "all" and first == "later",
    ),
    "cp_direction_beside_stall": (["cp_direction", "cp_beside", "cp_stall"], None),
}


class L2Coverage:
    """Samples bursts as they end; of `chunks` chunks of `beats` beats."""

    def __init__(self, chunks: int, beats: int):
        self._chunks, self._beats = chunks, beats
        self._plan = Plan(BLOCK, _POINTS, _CROSSES)

    def sample(self, chunk: int, first: int, beats: int, strobes: "set[str] | None", beside: set[str], stall: float):
        """`strobes`: of a write, "none", "some" or "all" lanes, for each beat; `beside`: directions of what was in flight at its start."""
        self._plan.sample(
            cp_direction="read" if strobes is None else "write",
            cp_chunk="first" if chunk == 0 else "last" if chunk == self._chunks - 1 else "between",
            cp_beats="one" if beats == 1 else "all" if beats == self._beats else "some", cp_first="later" if first else "first beat",
            cp_strobe=strobes or set(),
            cp_beside="both" if len(beside) == 2 else f"{next(iter(beside))}s" if beside else "nothing",
            cp_stall="rough" if stall else "calm",
        )

    def export(self):
        self._plan.export()
