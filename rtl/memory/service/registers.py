"""The registers of a memory controller, `rtl.isa.MemoryRegister`. They step in every clock."""

from amaranth import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.registers import RegisterPort
from rtl.isa import MEMORY_BYTES, MemoryControl, MemoryService, MemoryStatus
from rtl.isa import MemoryRegister as R
from rtl.memory.interface import BusCause, Injection, errors
from rtl.memory.service.counters import BusCounters, EventCounter
from rtl.memory.service.timing import MAX_LATENCY, TimingRegisters, timing_bits
from rtl.memory.timing import TimingSet, TimingValues

__all__ = ["OWED_BITS", "REFUSED_BITS", "RESET_VALUES", "ServiceRegisters", "Settings"]

#: Sixteen banks that owe 8 refreshes, or have them in advance.
OWED_BITS = 9

#: Two directions of four ports.
REFUSED_BITS = 4


class Settings(data.Struct):
    """What the host chooses of the scheduler and the arbiter; see :class:`rtl.isa.MemoryRegister`."""

    ecc: 1
    refresh_all: 1
    masks: data.ArrayLayout(15, 4)  #: row bits XORed into bg[0], bg[1], ba[0], ba[1]
    close_after: 16
    age_limit: 16
    starve_limit: 8


#: After reset, where it isn't the configuration that decides.
RESET_VALUES = {R.CLOSE_AFTER: 0, R.AGE_LIMIT: 2048, R.STARVE_LIMIT: 16, R.SCRUB_INTERVAL: 4096}


class ServiceRegisters(wiring.Component):
    """Answers the register bus as it prescribes: a write in its clock, a read in the next.

    An error, without any effect, is the answer to
    - an address that has no register;
    - a value that the register can't hold; for timing also 0, and more than 60 for RL and WL;
    - HASH, TIMING, and another ECC in CONTROL, unless `rests` and RUN is clear;
    - SERVICE with an unknown code, with RANGE_FIRST beyond RANGE_LAST, or while a service runs; either end of the range while one runs.

    Bytes without a strobe keep their value, in registers that can't be read count as 0; a write without any strobe does nothing.
    A write to what can only be read, and a read of what can only be written, are good, without effect and 0. Error counters stop at
    2^32 - 1, those of the bus wrap.

    The memory side steps in clocks with `enable`. It sees levels, which stay until it has acknowledged them in such a clock; what it
    says counts in such a clock alone.

    Parameters
    ----------
    timing, masks, ecc
        Reset values of timing, hash and CONTROL.ECC.

    Members
    -------
    bus
        From the host.
    settings, timing, run, scrub, scrub_interval, first, last
        To the memory side, from registers. `first` and `last`: the range, in atoms.
    command, begins, busy
        :class:`MemoryService` that is wanted until it `begins`.
    injection, injected
        To and from the guard.
    ready, rests
        From the start-up.
    errors, wrong, wrong_atom, cause, owed
        From the memory side: see :class:`rtl.memory.ecc.guard.Guard`, :class:`rtl.memory.service.march.March`, the scheduler's use of the
        data bus, and the bank refreshes that it owes.
    refused
        AXI accesses that the ports refused in this clock, enabled or not.
    """

    def __init__(self, atom_bits: int, timing: TimingSet, masks: tuple[int, int, int, int], *, ecc: bool = True):
        self.atom_bits = atom_bits
        self.reset = (timing, masks, ecc)
        super().__init__({
            "enable": In(1), "bus": In(RegisterPort((MEMORY_BYTES - 1).bit_length())),
            "settings": Out(Settings), "timing": Out(TimingValues), "run": Out(1), "scrub": Out(1), "scrub_interval": Out(32),
            "first": Out(unsigned(atom_bits)), "last": Out(unsigned(atom_bits)),
            "command": Out(2), "begins": In(1), "busy": In(1), "injection": Out(Injection), "injected": In(1),
            "ready": In(1), "rests": In(1), "errors": In(errors(atom_bits)), "wrong": In(1), "wrong_atom": In(unsigned(atom_bits)),
            "cause": In(BusCause), "owed": In(signed(OWED_BITS)), "refused": In(REFUSED_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        write = self.bus.write
        self._strobe = strobe = Signal(32)
        self._given = given = Signal(32)
        self._asked = asked = Signal()
        self._hits: dict[int, Value] = {}
        self._readable: dict[int, Value] = {}
        self._errors: list[Value] = []
        m.d.comb += strobe.eq(Cat(bit.replicate(8) for bit in write.strobe))
        m.d.comb += [given.eq(write.data & strobe), asked.eq(write.valid & write.strobe.any())]
        stopped, serving = Signal(), Signal()
        m.d.comb += [stopped.eq(self.rests & ~self.run), serving.eq(self.busy | (self.command != 0))]

        self._control(m, stopped)
        self._settings(m, stopped, serving)
        self._timing(m, stopped)
        self._service(m, serving)
        self._injection(m)
        self._counters(m)
        status = {
            MemoryStatus.READY: self.ready, MemoryStatus.STOPPED: stopped, MemoryStatus.SERVICE: serving,
            MemoryStatus.POISONED: self._readable[R.DOUBLE_ERRORS].any(),
        }
        self._reads_only(m, R.STATUS, Cat(status[bit] for bit in MemoryStatus))
        self._reads_only(m, R.OWED, self.owed)

        known = Cat(write.address == address >> 2 for address in self._hits).any()
        m.d.comb += write.error.eq(asked & (~known | Cat(self._errors).any()))
        self._reads(m)
        return m

    # One register each

    def _hit(self, address: int) -> Value:
        """A write to `address` with a strobe."""
        return self._hits.setdefault(int(address), self._asked & (self.bus.write.address == int(address) >> 2))

    def _reads_only(self, m: Module, address: int, value: Value):
        self._hit(address)
        self._readable[int(address)] = value

    def _word(self, m: Module, address: int, register: Value, *, least: int = 0, most: int | None = None, refuses: Value | None = None):
        """A register that is read and written. Returns (its write is good, the value that it gets)."""
        hit, most = self._hit(address), (1 << len(register)) - 1 if most is None else most
        merged = Signal(32, name=f"merged_{int(address):03x}")
        bad = Signal(name=f"bad_{int(address):03x}")
        # Whole fields of the bus, so that a value that is too wide is seen.
        m.d.comb += [
            merged.eq((register & ~self._strobe) | self._given),
            bad.eq(hit & ((merged > most) | (merged < least) | (0 if refuses is None else refuses))),
        ]
        self._errors.append(bad)
        self._readable[int(address)] = register
        return hit & ~bad, merged

    def _holds(self, m: Module, address: int, register: Value, **rules):
        """As :meth:`_word`, and the register takes the value."""
        good, value = self._word(m, address, register, **rules)
        with m.If(good):
            m.d.sync += register.eq(value)

    # Groups

    def _control(self, m: Module, stopped):
        control = Signal(len(MemoryControl), init=1 << MemoryControl.RUN | int(self.reset[2]) << MemoryControl.ECC)
        merged_ecc = Mux(self.bus.write.strobe[0], self._given[MemoryControl.ECC], control[MemoryControl.ECC])
        self._holds(m, R.CONTROL, control, refuses=~stopped & (merged_ecc != control[MemoryControl.ECC]))
        m.d.comb += [
            self.run.eq(control[MemoryControl.RUN]), self.settings.ecc.eq(control[MemoryControl.ECC]),
            self.settings.refresh_all.eq(control[MemoryControl.REFRESH_ALL]), self.scrub.eq(control[MemoryControl.SCRUB]),
        ]

    def _settings(self, m: Module, stopped, serving):
        last = (1 << self.atom_bits) - 1
        for number, address in enumerate((R.HASH0, R.HASH1, R.HASH2, R.HASH3)):
            mask = Signal(15, name=f"hash{number}", init=self.reset[1][number])
            self._holds(m, address, mask, refuses=~stopped)
            m.d.comb += self.settings.masks[number].eq(mask)
        for address, target, refuses in (
            (R.CLOSE_AFTER, self.settings.close_after, None), (R.AGE_LIMIT, self.settings.age_limit, None),
            (R.STARVE_LIMIT, self.settings.starve_limit, None), (R.SCRUB_INTERVAL, self.scrub_interval, None),
            (R.RANGE_FIRST, self.first, serving), (R.RANGE_LAST, self.last, serving),
        ):
            init = last if address is R.RANGE_LAST else RESET_VALUES.get(address, 0)
            register = Signal(len(target), name=address.name.lower(), init=init)
            self._holds(m, address, register, refuses=refuses)
            m.d.comb += target.eq(register)

    def _timing(self, m: Module, stopped):
        m.submodules.timing = timing = TimingRegisters(self.reset[0])
        m.d.comb += [self.timing.eq(timing.values), timing.value.eq(self._given)]
        for number, name in enumerate(self.reset[0].parameters()):
            most = MAX_LATENCY if name in ("RL", "WL") else (1 << timing_bits(name)) - 1
            good, value = self._word(m, R.TIMING + 4 * number, timing.base[number], least=1, most=most, refuses=~stopped)
            m.d.comb += timing.write[number].eq(good)
            with m.If(good):
                m.d.comb += timing.value.eq(value)

    def _service(self, m: Module, serving):
        hit, code = self._hit(R.SERVICE), self._given
        bad = Signal()
        known = (code == MemoryService.FILL) | (code == MemoryService.TEST)
        m.d.comb += bad.eq(hit & (serving | ~known | (self.first > self.last)))
        self._errors.append(bad)
        starts = hit & ~bad
        with m.If(starts):
            m.d.sync += self.command.eq(code)
        with m.Elif(self.begins & self.enable):
            m.d.sync += self.command.eq(0)
        m.submodules.test = test = EventCounter(self.atom_bits)
        m.d.comb += [
            test.clear.eq(starts & (code == MemoryService.TEST)), test.add.eq(self.wrong & self.enable), test.place.eq(self.wrong_atom),
        ]
        self._reads_only(m, R.TEST_ERRORS, test.count)
        self._reads_only(m, R.TEST_FIRST, test.first)

    def _injection(self, m: Module):
        low, high, check = Signal(32), Signal(32), Signal(8)
        armed, word = Signal(), Signal.like(self.injection.word)
        for address, register in ((R.INJECT_LO, low), (R.INJECT_HI, high), (R.INJECT_CHECK, check)):
            self._holds(m, address, register)
        m.d.comb += [
            self.injection.data.eq(Cat(low, high)), self.injection.check.eq(check), self.injection.armed.eq(armed),
            self.injection.word.eq(word),
        ]
        hit = self._hit(R.INJECT)
        bad = hit & (self._given >> 2).any()
        self._errors.append(bad)
        with m.If(hit & ~bad):
            m.d.sync += [armed.eq(1), word.eq(self._given)]
        with m.Elif(self.injected & self.enable):
            m.d.sync += armed.eq(0)

    def _counters(self, m: Module):
        for name, events, addresses in (("single", self.errors.single, (R.SINGLE_ERRORS, R.SINGLE_FIRST)),
                                        ("double", self.errors.double, (R.DOUBLE_ERRORS, R.DOUBLE_FIRST))):
            m.submodules[name] = counter = EventCounter(self.atom_bits, len(events))
            m.d.comb += [
                counter.clear.eq(self._hit(addresses[0])), counter.add.eq(Mux(self.enable, events, 0)), counter.place.eq(self.errors.atom),
            ]
            self._reads_only(m, addresses[0], counter.count)
            self._reads_only(m, addresses[1], counter.first)
        m.submodules.refused = refused = EventCounter(1, REFUSED_BITS)
        m.d.comb += [refused.clear.eq(self._hit(R.REFUSED)), refused.add.eq(self.refused)]
        self._reads_only(m, R.REFUSED, refused.count)
        m.submodules.bus = bus = BusCounters()
        hits = [self._hit(R.BUS + 4 * cause.value) for cause in BusCause]
        m.d.comb += [
            bus.enable.eq(self.enable), bus.cause.eq(self.cause), bus.clear.eq(Cat(hits).any()), bus.index.eq(self.bus.read.address),
        ]
        for cause in BusCause:
            self._readable[R.BUS + 4 * cause.value] = bus.count

    def _reads(self, m: Module):
        read = self.bus.read
        m.d.sync += [read.data.eq(0), read.error.eq(0)]
        with m.Switch(read.address):
            for address, value in self._readable.items():
                with m.Case(address >> 2):
                    m.d.sync += read.data.eq(value)
            with m.Case(*(address >> 2 for address in self._hits if address not in self._readable)):
                pass
            with m.Default():
                m.d.sync += read.error.eq(1)
