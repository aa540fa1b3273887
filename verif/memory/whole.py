"""What stands below the ports when it is no model: guard, scheduler, service and device, looked at through the registers."""

from rtl.isa import MemoryRegister, MemoryService, MemoryStatus
from rtl.memory.address import ATOM_BYTES
from sim.hbm.parameters import RULES

__all__ = ["WholeMemory"]


class WholeMemory:
    """Takes the place of :class:`verif.memory.port.below.Below`: the memory starts as zeros and nothing in it is bad.

    It keeps the register port busy: self-tests of `service_atoms` one after the other, and the counts of refused accesses and of errors.
    With `flips` the device inverts single bits on its way out, and there must be some.
    """

    def __init__(self, dut, service_atoms: range, *, flips: bool = False):
        names = [f"registers__{side}__{part}" for side, parts in (
            ("write", ("valid", "address", "data", "strobe", "error")), ("read", ("valid", "address", "data", "error"))) for part in parts]
        self._dut = dut
        self._ports = {name.removeprefix("registers__"): getattr(dut, name) for name in names}
        self._service_atoms = service_atoms
        self._flips = flips
        self._writes: list[tuple[int, int]] = []
        self._asked: int | None = None
        self._polls = [MemoryRegister.STATUS, MemoryRegister.REFUSED, MemoryRegister.TEST_ERRORS]
        self._polls += [MemoryRegister.SINGLE_ERRORS, MemoryRegister.DOUBLE_ERRORS]
        self._values: dict[int, int] = {}
        self._testing = False
        self.serviced = 0
        self.limits = 0
        self.log: list = []
        #: What the model can do and this can't; the tests set them all the same.
        self.silent, self.delay, self.shuffled = False, (0, 0), True

    @property
    def bad(self) -> dict[int, int]:
        return {}

    @bad.setter
    def bad(self, words: dict[int, int]):
        del words

    def atom(self, number: int) -> bytes:
        del number
        return bytes(ATOM_BYTES)

    @property
    def idle(self) -> bool:
        return not self._testing and bool(self._values.get(MemoryRegister.SINGLE_ERRORS)) == self._flips

    @property
    def refused(self) -> int:
        return self._values.get(MemoryRegister.REFUSED, 0)

    def limit(self, value: int):
        self._writes.append((MemoryRegister.STARVE_LIMIT, value))
        self.limits += 1

    def drive(self, clock: int):
        del clock
        ports = self._ports
        ready = self._values.get(MemoryRegister.STATUS, 0) >> MemoryStatus.READY & 1
        if ready and not self._testing and self.serviced < 3 and not self._writes:
            self._writes += [
                (MemoryRegister.RANGE_FIRST, self._service_atoms[0]), (MemoryRegister.RANGE_LAST, self._service_atoms[0] + 15),
                (MemoryRegister.SERVICE, MemoryService.TEST.value),
            ]
            self._testing = True
        ports["write__valid"].value = int(bool(self._writes))
        if self._writes:
            address, value = self._writes[0]
            ports["write__address"].value, ports["write__data"].value, ports["write__strobe"].value = address >> 2, value, 15
        ports["read__valid"].value = 1
        ports["read__address"].value = self._polls[0] >> 2

    def sample(self, clock: int):
        del clock
        ports = self._ports
        if self._asked is not None:
            assert not int(ports["read__error"].value)
            self._values[self._asked] = int(ports["read__data"].value)
        self._asked = self._polls[0]
        self._polls.append(self._polls.pop(0))
        if self._writes:
            assert not int(ports["write__error"].value), f"a write to {self._writes[0][0]:#x} was refused"
            address, _ = self._writes.pop(0)
            if address == MemoryRegister.SERVICE:
                # What was asked up to now doesn't know of it.
                self._asked = None
                self._values.pop(MemoryRegister.STATUS)
        elif self._testing and not self._values.get(MemoryRegister.STATUS, 1 << MemoryStatus.SERVICE) >> MemoryStatus.SERVICE & 1:
            # It counts what was corrected, too.
            assert self._flips or self._values.get(MemoryRegister.TEST_ERRORS, 0) == 0, "the self-test finds errors in a good memory"
            self._testing = False
            self.serviced += 1
        assert not self._values.get(MemoryRegister.DOUBLE_ERRORS), "errors that could not be corrected"
        count = int(self._dut.violations.value)
        assert count == 0, f"the device saw {RULES[int(self._dut.first_violation.value)]} broken"
