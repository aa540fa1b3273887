"""Coverage plans of the crossbar's masters and of the host port (`docs/fabric.md`)."""

from rtl.bus.axi import Response
from rtl.config import ChipConfig
from verif.common.coverage import Plan

__all__ = ["FABRIC", "HOST_PORT", "FabricCoverage", "HostCoverage"]

FABRIC, HOST_PORT = "fabric", "host_port"
_RESPONSES = [response.name for response in (Response.OKAY, Response.SLVERR, Response.DECERR)]


def _of(count: int, most: int) -> str:
    return "one" if count == 1 else "all" if count == most else "some"


class FabricCoverage:
    """Samples the bursts of all masters as they end. `masters`: whether each writes."""

    def __init__(self, config: ChipConfig, masters: dict[str, bool], slaves: list[str], beats: int):
        self._beats = beats
        deep = ["one", "few", "many"] if config.outstanding > 4 else ["one", "few"] if config.outstanding > 1 else ["one"]
        self._plan = Plan(
            FABRIC,
            {
                "cp_master": list(masters), "cp_direction": ["read", "write"], "cp_target": [*slaves, "outside"],
                "cp_response": _RESPONSES, "cp_beats": ["one", "some", "all"], "cp_first": ["first beat", "later"],
                "cp_strobe": ["none", "some", "all"], "cp_in_flight": deep, "cp_stall": ["rough", "calm"],
            },
            {
                "cp_master_direction_target": (
                    ["cp_master", "cp_direction", "cp_target"],
                    lambda master, direction, target: direction == "write" and not masters[master],
                ),
                "cp_direction_response": (["cp_direction", "cp_response"], None),
                "cp_target_response": (
                    ["cp_target", "cp_response"], lambda target, response: (target == "outside") != (response == "DECERR"),
                ),
                "cp_beats_first": (["cp_beats", "cp_first"], lambda beats, first: beats == "all" and first == "later"),
                "cp_in_flight_stall": (["cp_in_flight", "cp_stall"], None),
            },
        )

    def sample(
        self, master: str, target: str | None, response: int, first: int, beats: int, strobes: "set[str] | None", in_flight: int,
        stall: float,
    ):
        """`strobes`: of a write, "none", "some" or "all" lanes, for each beat; `in_flight`: bursts of the master, this one included."""
        self._plan.sample(
            cp_master=master, cp_direction="read" if strobes is None else "write", cp_target=target or "outside",
            cp_response=Response(response).name, cp_beats=_of(beats, self._beats), cp_first="later" if first else "first beat",
            cp_strobe=strobes or set(), cp_in_flight="one" if in_flight == 1 else "few" if in_flight <= 4 else "many",
            cp_stall="rough" if stall else "calm",
        )

    def export(self):
        self._plan.export()


class HostCoverage:
    """Samples the bursts of a host as they end."""

    def __init__(self, full: int):
        self._full = full
        sizes = ["full", "narrow"]
        self._plan = Plan(
            HOST_PORT,
            {
                "cp_host_direction": ["read", "write"], "cp_host_burst": ["INCR", "WRAP", "FIXED"], "cp_host_size": sizes,
                "cp_host_start": ["aligned", "unaligned"], "cp_host_length": ["one", "few", "over a chunk"],
                "cp_host_response": _RESPONSES, "cp_host_stall": ["rough", "calm"],
            },
            {
                # WRAP is aligned and has 2, 4, 8 or 16 beats; FIXED stays where it is.
                "cp_host_kind": (
                    ["cp_host_direction", "cp_host_burst", "cp_host_size", "cp_host_start"],
                    lambda direction, burst, size, start: burst == "WRAP" and start == "unaligned",
                ),
                "cp_host_burst_length": (
                    ["cp_host_burst", "cp_host_length"],
                    lambda burst, length: (burst == "WRAP" and length == "one") or (burst != "INCR" and length == "over a chunk"),
                ),
                "cp_host_direction_response": (["cp_host_direction", "cp_host_response"], None),
            },
        )

    def sample(self, write: bool, burst: str, size: int, address: int, beats: int, chunks: int, response: int, stall: float):
        """`chunks`: how many chunks its beats lie in; `response`: the worst one."""
        self._plan.sample(
            cp_host_direction="write" if write else "read", cp_host_burst=burst,
            cp_host_size="full" if size == self._full else "narrow",
            cp_host_start="unaligned" if address & ((1 << size) - 1) else "aligned",
            cp_host_length="over a chunk" if chunks > 1 else "one" if beats == 1 else "few",
            cp_host_response=Response(response).name, cp_host_stall="rough" if stall else "calm",
        )

    def export(self):
        self._plan.export()
