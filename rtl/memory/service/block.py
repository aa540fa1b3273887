"""Everything of a memory controller that is not an access: start-up, registers, fill and self-test, scrubber."""

from amaranth import EnableInserter, Module, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.registers import RegisterPort
from rtl.isa import MEMORY_BYTES
from rtl.memory.dfi import RowCommand
from rtl.memory.interface import BusCause, Injection, errors, request, returned, rewrite, verdict
from rtl.memory.service.march import March
from rtl.memory.service.registers import OWED_BITS, REFUSED_BITS, ServiceRegisters, Settings
from rtl.memory.service.scrubber import Scrubber
from rtl.memory.service.start_up import SETTLE_CLOCKS, StartUp
from rtl.memory.timing import TimingSet, TimingValues

__all__ = ["ServiceBlock"]


class ServiceBlock(wiring.Component):
    """The registers step in every clock, all else in clocks with `enable`; it is not to be put below an `EnableInserter` itself.

    After reset the memory starts by itself, with the reset values of the registers.

    Parameters
    ----------
    atom_bits
        Width of an atom's number.
    timing, masks, ecc
        Reset values of the registers.
    settle
        Memory clocks from reset to the first command.

    Members
    -------
    enable
        The clock of the memory. `request`, `scrub` and all that comes back move in such clocks only.
    registers
        From the host.
    settings, timing
        To scheduler and arbiter; ECC to decoder and guard as well. Timing, hash and ECC are constant unless all rests.
    row
        Mode register commands. They have the row bus while `run` is low.
    run, stopped
        To and from the scheduler. With `run` low it takes no request and, once nothing is pending, all banks are closed and its row and
        column bus say NOP, `stopped` is high. It may say so from the second clock with `run` low.
    hold, idle
        To and from the guard.
    ready
        Requests are served.
    request
        Fill and self-test, to the arbiter.
    returned, verdict
        From the decoder.
    scrub, injection, injected, errors
        To and from the guard.
    cause, owed
        What the data bus does in this clock; bank refreshes that are due.
    refused
        AXI accesses refused by the ports in this clock, enabled or not.
    """

    def __init__(self, atom_bits: int, timing: TimingSet, masks: tuple[int, int, int, int], *, ecc: bool = True,
                 settle: int = SETTLE_CLOCKS):
        self.atom_bits = atom_bits
        self.reset = (timing, masks)
        self.ecc = ecc
        self.settle = settle
        super().__init__({
            "enable": In(1), "registers": In(RegisterPort((MEMORY_BYTES - 1).bit_length())),
            "settings": Out(Settings), "timing": Out(TimingValues),
            "row": Out(RowCommand), "run": Out(1), "stopped": In(1), "hold": Out(1), "idle": In(1), "ready": Out(1),
            "request": Out(stream.Signature(request(atom_bits))), "returned": In(returned()), "verdict": In(verdict(atom_bits)),
            "scrub": Out(stream.Signature(rewrite(atom_bits))), "injection": Out(Injection), "injected": In(1),
            "errors": In(errors(atom_bits)), "cause": In(BusCause), "owed": In(signed(OWED_BITS)), "refused": In(REFUSED_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.registers = registers = ServiceRegisters(self.atom_bits, *self.reset, ecc=self.ecc)
        start, march, scrubber = StartUp(self.settle), March(self.atom_bits), Scrubber(self.atom_bits)
        for name, part in (("start", start), ("march", march), ("scrubber", scrubber)):
            m.submodules[name] = EnableInserter(self.enable)(part)
        wiring.connect(m, wiring.flipped(self.registers), registers.bus)
        wiring.connect(m, march.request, wiring.flipped(self.request))
        wiring.connect(m, scrubber.output, wiring.flipped(self.scrub))
        m.d.comb += [
            registers.enable.eq(self.enable), self.settings.eq(registers.settings), self.timing.eq(registers.timing),
            start.wanted.eq(registers.run), start.timing.eq(registers.timing), start.stopped.eq(self.stopped), start.idle.eq(self.idle),
            self.row.eq(start.row), self.run.eq(start.run), self.hold.eq(start.hold), self.ready.eq(start.ready),
            registers.ready.eq(start.ready), registers.rests.eq(start.rests),
            march.command.eq(registers.command), march.first.eq(registers.first), march.last.eq(registers.last),
            march.returned.eq(self.returned), march.verdict.eq(self.verdict), registers.begins.eq(march.begins),
            registers.busy.eq(march.busy), registers.wrong.eq(march.wrong), registers.wrong_atom.eq(march.wrong_atom),
            scrubber.enable.eq(registers.scrub & registers.settings.ecc & start.ready), scrubber.interval.eq(registers.scrub_interval),
            scrubber.first.eq(registers.first), scrubber.last.eq(registers.last),
            self.injection.eq(registers.injection), registers.injected.eq(self.injected), registers.errors.eq(self.errors),
            registers.cause.eq(self.cause), registers.owed.eq(self.owed), registers.refused.eq(self.refused),
        ]
        return m
