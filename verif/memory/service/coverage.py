"""Coverage plan of the memory's service (`docs/memory_service.md`): every register access by kind and by what the controller does."""

from rtl.isa import MemoryRegister, MemoryService
from rtl.memory.interface import BusCause
from rtl.memory.timing import TimingSet
from verif.common.coverage import Plan

__all__ = ["BLOCK", "ServiceCoverage"]

BLOCK = "memory_service"
#: Registers by themselves, and those that come in numbers by the first of them.
_SINGLE = [register.name for register in MemoryRegister if register not in (MemoryRegister.BUS, MemoryRegister.TIMING)]
_NUMBERED = {MemoryRegister.BUS: len(BusCause), MemoryRegister.TIMING: len(TimingSet.parameters())}
_READ_ONLY = ("STATUS", "TEST_ERRORS", "TEST_FIRST", "SINGLE_FIRST", "DOUBLE_FIRST", "OWED")
#: Writable while stopped alone.
_LOCKED = ("HASH0", "HASH1", "HASH2", "HASH3", "TIMING")
#: Refuse no write: they take any value, are cleared by it, or pass over it.
_ANY_VALUE = ("SCRUB_INTERVAL", "INJECT_LO", "INJECT_HI", "SINGLE_ERRORS", "DOUBLE_ERRORS", "REFUSED", "BUS", *_READ_ONLY)
_POINTS = {
    "cp_register": [*_SINGLE, "BUS", "TIMING", "undefined"],
    "cp_access": ["read", "write"],
    "cp_answer": ["taken", "refused"],
    "cp_bytes": ["none", "some", "all"],
    "cp_state": ["runs", "stopped", "service"],
}
_CROSSES = {
    "cp_register_access": (["cp_register", "cp_access"], None),
    "cp_write_answer": (
        ["cp_register", "cp_access", "cp_answer"],
        lambda register, access, answer: (register == "undefined") != (answer == "refused")
        and (register == "undefined" or access == "read" or register in _ANY_VALUE),
    ),
    "cp_locked_state": (
        ["cp_register", "cp_answer", "cp_state"],
        lambda register, answer, state: register not in _LOCKED or state == "service",
    ),
}
_SERVICE = {
    "cp_service": [service.name for service in MemoryService],
    "cp_atoms": ["one", "several"],
    "cp_errors": ["none", "some"],
}
_SERVICE_CROSSES = {
    "cp_service_atoms": (["cp_service", "cp_atoms"], None),
    "cp_service_errors": (["cp_service", "cp_errors"], lambda service, errors: service == "FILL" and errors == "some"),
}


def _name(address: int) -> str:
    for first, count in _NUMBERED.items():
        if first <= address < first + 4 * count:
            return first.name
    return MemoryRegister(address).name if address in iter(MemoryRegister) else "undefined"


class ServiceCoverage:
    """Samples one controller's register port, and its services."""

    def __init__(self):
        self._access = Plan(BLOCK, _POINTS, _CROSSES)
        self._service = Plan(BLOCK, _SERVICE, _SERVICE_CROSSES)

    def access(self, address: int, access: str, good: bool, strobe: int, state: str):
        self._access.sample(
            cp_register=_name(int(address)), cp_access=access, cp_answer="taken" if good else "refused",
            cp_bytes=None if access == "read" else "all" if strobe == 15 else "some" if strobe else "none", cp_state=state,
        )

    def service(self, code: MemoryService, atoms: int, errors: int):
        self._service.sample(
            cp_service=MemoryService(code).name, cp_atoms="one" if atoms == 1 else "several", cp_errors="some" if errors else "none",
        )

    def export(self):
        self._access.export()
