"""The memory controller of one HBM pseudo-channel: AXI4 slaves on one side, DRAM commands on the other."""

from amaranth import EnableInserter, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4
from rtl.bus.registers import RegisterPort
from rtl.config import ChipConfig
from rtl.isa import MEMORY_BYTES
from rtl.memory.address import AddressMap
from rtl.memory.dfi import DFI
from rtl.memory.ecc.codec import Decoder
from rtl.memory.ecc.guard import Guard
from rtl.memory.port.front import MemoryFront
from rtl.memory.schedule.scheduler import Scheduler
from rtl.memory.service.block import ServiceBlock
from rtl.memory.timing import TimingSet

__all__ = ["ClockEnable", "MemoryController"]


class ClockEnable(wiring.Component):
    """High in p of q clocks, spread evenly, from a register."""

    enable: Out(1)

    def __init__(self, p: int, q: int):
        if not 1 <= p <= q:
            raise ValueError(f"a clock enable is high in p of q clocks with 1 <= p <= q, not {p} of {q}")
        self.p, self.q = p, q
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        if self.p == self.q:
            # A constant, so that all that it steps needs no enable.
            m.d.comb += self.enable.eq(1)
            return m
        phase = Signal(range(self.q))
        carries = phase >= self.q - self.p
        m.d.sync += self.enable.eq(carries)
        with m.If(carries):
            m.d.sync += phase.eq(phase - (self.q - self.p))
        with m.Else():
            m.d.sync += phase.eq(phase + self.p)
        return m


class MemoryController(wiring.Component):
    """Ports, arbiter, guard, scheduler, decoder and service, as `rtl/memory/interface.py` draws them. See `docs/memory.md`.

    Parameters
    ----------
    config
        Width of the bus, rows, depths, ECC, and the memory clock.
    timing
        Reset values of the timing registers, by default the set that `config` names.
    ports
        AXI ports, 1 to 4.
    id_bits
        Width of the AXI identifiers.
    interleave
        Beats of read bursts with different identifiers may alternate.
    autostart
        RUN is set after reset. Without it the memory waits, so that its timing registers can be written first.

    Members
    -------
    axi[port]
        Byte addresses within the channel; see `docs/memory_ports.md` for bursts, order and errors.
    registers
        `rtl.isa.MemoryRegister`.
    dfi
        Commands and data of the device; steps on p of q clocks.
    ready
        Requests are served. They may come earlier: they wait.
    """

    def __init__(
        self, config: ChipConfig, timing: TimingSet | None = None, *, ports: int = 1, id_bits: int = 6, interleave: bool = True,
        autostart: bool = True,
    ):
        self.config = config
        self.timing = TimingSet.load(config.dram_timing) if timing is None else timing
        self.map = AddressMap(config.dram_rows)
        self.autostart = autostart
        self._front = MemoryFront(config, ports, id_bits, interleave=interleave)
        super().__init__({
            "axi": In(AXI4(32, config.bus_bytes, id_bits, quality=True)).array(ports),
            "registers": In(RegisterPort((MEMORY_BYTES - 1).bit_length())),
            "dfi": Out(DFI()), "ready": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        atom_bits, dfi = self.map.atom_bits, self.dfi
        m.submodules.clock = clock = ClockEnable(*self.config.memory_clock)
        enable = clock.enable
        m.submodules.front = front = self._front
        guard, decoder, scheduler = Guard(atom_bits), Decoder(atom_bits), Scheduler(self.config)
        stepped = EnableInserter(enable) if self.config.memory_clock[0] != self.config.memory_clock[1] else lambda part: part
        for name, part in (("guard", guard), ("decoder", decoder), ("scheduler", scheduler)):
            m.submodules[name] = stepped(part)
        m.submodules.service = service = ServiceBlock(
            atom_bits, self.timing, self.map.masks, ecc=self.config.ecc, autostart=self.autostart,
        )

        for number, port in enumerate(self.axi):
            wiring.connect(m, wiring.flipped(port), front.axi[number])
        wiring.connect(m, wiring.flipped(self.registers), service.registers)
        wiring.connect(m, service.request, front.service)
        wiring.connect(m, front.requests, guard.request)
        wiring.connect(m, guard.coded, scheduler.requests)
        wiring.connect(m, service.scrub, guard.scrub)
        settings = service.settings
        m.d.comb += [
            front.enable.eq(enable), service.enable.eq(enable), scheduler.enable.eq(enable),
            front.returned.eq(decoder.returned), guard.returned.eq(decoder.returned), service.returned.eq(decoder.returned),
            guard.verdict.eq(decoder.verdict), service.verdict.eq(decoder.verdict), decoder.fetched.eq(scheduler.fetched),
            decoder.ecc.eq(settings.ecc), guard.ecc.eq(settings.ecc),
            front.starve_limit.eq(settings.starve_limit),
            scheduler.timing.eq(service.timing), scheduler.run.eq(service.run), scheduler.refresh_all.eq(settings.refresh_all),
            scheduler.close_after.eq(settings.close_after), scheduler.age_limit.eq(settings.age_limit),
            *(scheduler.masks[bit].eq(settings.masks[bit]) for bit in range(4)),
            service.stopped.eq(scheduler.stopped),
            service.idle.eq(guard.idle), guard.hold.eq(service.hold),
            guard.injection.eq(service.injection), service.injected.eq(guard.injected), service.errors.eq(guard.errors),
            service.cause.eq(scheduler.cause), service.owed.eq(scheduler.owed), service.refused.eq(front.refused),
            self.ready.eq(service.ready),
        ]

        # The mode registers are written while the scheduler rests.
        starting = Signal()
        m.d.comb += [
            starting.eq(~service.run & scheduler.stopped),
            dfi.enable.eq(enable), dfi.row.eq(scheduler.row), dfi.column.eq(scheduler.column),
            dfi.write_data.eq(scheduler.write_data), dfi.write_check.eq(scheduler.write_check),
            dfi.write_mask.eq(scheduler.write_mask),
            scheduler.read_data.eq(dfi.read_data), scheduler.read_check.eq(dfi.read_check), scheduler.read_valid.eq(dfi.read_valid),
        ]
        with m.If(starting):
            m.d.comb += dfi.row.eq(service.row)
        return m
