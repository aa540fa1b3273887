"""Coverage plan of the L1 (`docs/l1.md`): what each access is, and what it had to wait for."""

from rtl.config import ChipConfig
from rtl.l1.port import L1Read, l1_ports
from verif.common.coverage import Plan

__all__ = ["BLOCK", "PATIENCE", "L1Coverage"]

BLOCK = "l1"
#: Cycles that a request may wait as the first of its port, from the contract: it goes first after 15, one such request a cycle.
PATIENCE = 15
_READS = ["one byte", "some", "full width"]
_WRITES = ["no byte", "one byte", "a run", "with gaps", "full width"]
_PLACES = ["in a word", "in a row", "over a row's end", "over the memory's end"]
_WAITS = ["none", "waits", "goes first by age"]


class L1Coverage:
    """Samples accesses as they are answered."""

    def __init__(self, config: ChipConfig):
        self._config = config
        self._width = {name: signature.width for name, signature in l1_ports(config).items()}
        self._reads = {name for name, signature in l1_ports(config).items() if isinstance(signature, L1Read)}
        ports = list(self._width)

        def cannot(port: str, reach: str) -> bool:
            return reach not in (_READS if port in self._reads else _WRITES)

        self._plan = Plan(
            BLOCK,
            {
                "cp_port": ports, "cp_reach": list(dict.fromkeys(_READS + _WRITES)), "cp_place": _PLACES, "cp_wait": _WAITS,
                "cp_stall": ["rough", "calm"],
            },
            {
                "cp_port_reach": (["cp_port", "cp_reach"], cannot),
                "cp_port_place": (["cp_port", "cp_place"], None),
                # Nobody stands above the first port but one that has waited long enough.
                "cp_port_wait": (["cp_port", "cp_wait"], lambda port, wait: port == ports[0] and wait == "goes first by age"),
                "cp_wait_stall": (["cp_wait", "cp_stall"], None),
            },
        )

    def sample(self, port: str, address: int, size: int, strobe: int, waited: int, stall: float):
        """`waited`: cycles without a grant as the first of its port."""
        width, line = self._width[port], self._config.l1_banks * self._config.l1_bank_bytes
        if port in self._reads:
            first, last = 0, size - 1
            reach = "one byte" if size == 1 else "full width" if size == width else "some"
        else:
            chosen = [lane for lane in range(width) if strobe >> lane & 1]
            first, last = (chosen[0], chosen[-1]) if chosen else (0, 0)
            reach = (
                "no byte" if not chosen else "one byte" if len(chosen) == 1 else "full width" if len(chosen) == width
                else "a run" if len(chosen) == last - first + 1 else "with gaps"
            )  # fmt: skip
        low, high = address + first, address + last
        place = (
            "over the memory's end" if low // self._config.l1_bytes != high // self._config.l1_bytes
            else "over a row's end" if low // line != high // line
            else "in a row" if low // self._config.l1_bank_bytes != high // self._config.l1_bank_bytes else "in a word"
        )  # fmt: skip
        self._plan.sample(
            cp_port=port, cp_reach=reach, cp_place=place,
            cp_wait="none" if waited <= 0 else "goes first by age" if waited > PATIENCE else "waits",
            cp_stall="rough" if stall else "calm",
        )

    def export(self):
        self._plan.export()
