"""What the tests simulate: the service with guard and decoder around a scheduler that is the testbench's."""

from amaranth import EnableInserter, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.registers import RegisterPort
from rtl.isa import MEMORY_BYTES
from rtl.memory.address import AddressMap
from rtl.memory.controller import ClockEnable
from rtl.memory.dfi import RowCommand
from rtl.memory.ecc.codec import Decoder
from rtl.memory.ecc.guard import Guard
from rtl.memory.interface import BusCause, coded_request, fetched, request, returned
from rtl.memory.service.block import ServiceBlock
from rtl.memory.service.registers import OWED_BITS, REFUSED_BITS, Settings
from rtl.memory.timing import TimingSet, TimingValues

__all__ = ["ATOM_BITS", "MASKS", "ROWS", "Served"]

ROWS = 64
MASKS = AddressMap(ROWS).masks
ATOM_BITS = AddressMap(ROWS).atom_bits


class Served(wiring.Component):
    """Requests of a port go before those of the service. `request` and `registers` move in every clock, the rest with `enable`."""

    def __init__(self, timing: TimingSet, clock: tuple[int, int] = (1, 1), *, ecc: bool = True, autostart: bool = True):
        self._timing, self._clock = timing, clock
        self._options = {"ecc": ecc, "autostart": autostart}
        super().__init__({
            "enable": Out(1), "registers": In(RegisterPort((MEMORY_BYTES - 1).bit_length())),
            "request": In(stream.Signature(request(ATOM_BITS))), "coded": Out(stream.Signature(coded_request(ATOM_BITS))),
            "fetched": In(fetched(ATOM_BITS)), "returned": Out(returned()),
            "settings": Out(Settings), "timing": Out(TimingValues), "row": Out(RowCommand), "run": Out(1), "stopped": In(1),
            "idle": Out(1), "ready": Out(1), "cause": In(BusCause), "owed": In(signed(OWED_BITS)), "refused": In(REFUSED_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.clock = clock = ClockEnable(*self._clock)
        guard, decoder = Guard(ATOM_BITS), Decoder(ATOM_BITS)
        m.submodules.guard = EnableInserter(clock.enable)(guard)
        m.submodules.decoder = EnableInserter(clock.enable)(decoder)
        m.submodules.service = service = ServiceBlock(ATOM_BITS, self._timing, MASKS, **self._options)
        wiring.connect(m, wiring.flipped(self.registers), service.registers)
        wiring.connect(m, guard.coded, wiring.flipped(self.coded))
        wiring.connect(m, service.scrub, guard.scrub)
        # An offer stays as it is: the one that waits is chosen until it is taken.
        chosen, waits = Signal(), Signal()
        port = Signal()
        m.d.comb += port.eq(waits & chosen | ~waits & self.request.valid)
        with m.If(clock.enable):
            m.d.sync += [waits.eq(guard.request.valid & ~guard.request.ready), chosen.eq(port)]
        with m.If(port):
            m.d.comb += [guard.request.payload.eq(self.request.payload), guard.request.valid.eq(self.request.valid)]
        with m.Else():
            m.d.comb += [guard.request.payload.eq(service.request.payload), guard.request.valid.eq(service.request.valid)]
        m.d.comb += [
            self.request.ready.eq(port & guard.request.ready & clock.enable), service.request.ready.eq(~port & guard.request.ready),
            self.enable.eq(clock.enable), service.enable.eq(clock.enable), guard.ecc.eq(service.settings.ecc),
            decoder.ecc.eq(service.settings.ecc), guard.hold.eq(service.hold), service.idle.eq(guard.idle),
            guard.injection.eq(service.injection), service.injected.eq(guard.injected), service.errors.eq(guard.errors),
            decoder.fetched.eq(self.fetched), guard.returned.eq(decoder.returned), guard.verdict.eq(decoder.verdict),
            service.returned.eq(decoder.returned), service.verdict.eq(decoder.verdict), self.returned.eq(decoder.returned),
            self.settings.eq(service.settings), self.timing.eq(service.timing), self.row.eq(service.row), self.run.eq(service.run),
            service.stopped.eq(self.stopped), self.idle.eq(guard.idle), self.ready.eq(service.ready),
            service.cause.eq(self.cause), service.owed.eq(self.owed), service.refused.eq(self.refused),
        ]
        return m
