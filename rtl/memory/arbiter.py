"""Merges reads and writes into one order, in runs of one direction, since the data bus turns around slowly."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory.address import AddressMap
from rtl.memory.requests import READ_SLOTS, SLOT_BITS, read_request, row_request, write_request

__all__ = ["Arbiter"]


class Arbiter(wiring.Component):
    """The point of ordering: what has passed here is seen by everything that passes later.

    A direction is kept for up to `RUN` atoms while it has requests, and given up when it has had none for `PATIENCE` clocks and the
    other has one. One request a clock, one clock of latency.

    Members
    -------
    reads, writes
        Atoms in the order of their port. A read takes a slot of the return buffer, in order; without one it waits.
    freed
        Slots that the return buffer has given back so far, modulo 2 * READ_SLOTS.
    requests
        Located, with the bank bits hashed.
    """

    RUN = 64
    PATIENCE = 4

    def __init__(self, address_map: AddressMap, id_bits: int):
        self.map = address_map
        super().__init__({
            "reads": In(stream.Signature(read_request(address_map.atom_bits))),
            "writes": In(stream.Signature(write_request(address_map.atom_bits, id_bits))),
            "freed": In(SLOT_BITS + 1), "requests": Out(stream.Signature(row_request())),
        })

    def elaborate(self, platform):
        m = Module()
        writing = Signal()
        run = Signal(range(self.RUN + 1))
        dry = Signal(range(self.PATIENCE + 1))
        slot = Signal(SLOT_BITS + 1)
        reading = self.reads.valid & ((slot - self.freed)[:SLOT_BITS + 1] != READ_SLOTS)
        here, other = Mux(writing, self.writes.valid, reading), Mux(writing, reading, self.writes.valid)
        free = ~self.requests.valid | self.requests.ready
        turn = other & ((run == self.RUN) | (~here & (dry == self.PATIENCE)))
        step = Signal()
        m.d.comb += [
            step.eq(here & free & ~turn),
            self.reads.ready.eq(step & ~writing), self.writes.ready.eq(step & writing),
        ]
        with m.If(self.reads.ready):
            m.d.sync += slot.eq(slot + 1)
        with m.If(turn):
            m.d.sync += [writing.eq(~writing), run.eq(0), dry.eq(0)]
        with m.Elif(step):
            m.d.sync += [run.eq(Mux(run == self.RUN, run, run + 1)), dry.eq(0)]
        with m.Elif(~here & (dry != self.PATIENCE)):
            m.d.sync += dry.eq(dry + 1)

        out = self.requests.payload
        with m.If(free):
            m.d.sync += [
                # A write in error has nothing to access; its response goes out as it passes.
                self.requests.valid.eq(step & ~(writing & self.writes.payload.error)),
                *self.map.assign(out.location, Mux(writing, self.writes.payload.atom, self.reads.payload.atom)),
                out.write.eq(writing), out.slot.eq(Mux(writing, self.writes.payload.slot, slot[:SLOT_BITS])), out.activate.eq(0),
            ]
        return m
