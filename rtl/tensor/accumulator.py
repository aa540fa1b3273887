"""Accumulators: a ring of rows that are read, added to and written back, one each cycle, while finished rows drain."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.sram import SramDual
from rtl.config import ChipConfig

__all__ = ["AccumulatorPort", "Accumulators", "ring_rows"]


def ring_rows(config: ChipConfig) -> int:
    """Two tiles: one takes part in the computation while the other drains."""
    return 2 * config.accumulator_rows


class AccumulatorPort(wiring.Signature):
    """Access to a row, from the side that asks."""

    def __init__(self, config: ChipConfig):
        super().__init__({"enable": Out(1), "row": Out(range(ring_rows(config)))})


class Accumulators(wiring.Component):
    """`ring_rows` rows of `pe_columns` 32-bit values, in two SRAMs by parity of the row.

    The rows of a pass follow each other, so the computation reads the two SRAMs in turn and leaves each to the drain every other cycle.
    A row that is still on its way back is forwarded: it may be fetched again as soon as its result leaves the array in the cycle
    in which it is needed, two cycles after `fetch`. Who fetches sees to it that it isn't later (`rtl/tensor/issue.py`).

    Members
    -------
    fetch, fresh
        Row that an operation needs; with `fresh` it starts anew instead.
    initial
        What a fresh row starts with, one cycle after `fetch`.
    c
        The accumulators of the operation, two cycles after `fetch`.
    store, stored
        Row that leaves the array, with its data.
    drain, drain_ready, drained
        Row to drain; it is read if `drain_ready`, and `drained` holds it in the next cycle. That is later than the cycle of its `store`.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        row = data.ArrayLayout(32, config.pe_columns)
        port = AccumulatorPort(config)
        super().__init__({
            "fetch": In(port), "fresh": In(1), "initial": In(row), "c": Out(row), "store": In(port), "stored": In(row),
            "drain": In(port), "drain_ready": Out(1), "drained": Out(row),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        width = 32 * self.config.pe_columns
        fetch_parity, drain_parity = Signal(), Signal()
        m.d.sync += [fetch_parity.eq(self.fetch.row[0]), drain_parity.eq(self.drain.row[0])]
        m.d.comb += self.drain_ready.eq(~self.fetch.enable | (self.fetch.row[0] != self.drain.row[0]))
        read_data = []
        for parity in range(2):
            sram = SramDual(ring_rows(self.config) // 2, width)
            m.submodules["odd" if parity else "even"] = sram
            fetch = self.fetch.enable & (self.fetch.row[0] == parity)
            m.d.comb += [
                sram.read_enable.eq(fetch | (self.drain.enable & (self.drain.row[0] == parity))),
                sram.read_address.eq(Mux(fetch, self.fetch.row[1:], self.drain.row[1:])),
                sram.write.eq(self.store.enable & (self.store.row[0] == parity)),
                sram.write_address.eq(self.store.row[1:]), sram.write_data.eq(self.stored),
            ]  # fmt: skip
            read_data.append(sram.read_data)
        m.d.comb += self.drained.eq(Mux(drain_parity, read_data[1], read_data[0]))

        # One cycle after the fetch: what was stored in its cycle, too late for the SRAM, or is stored now.
        last_store, last_stored = Signal(self.store.signature.flip().members["row"].shape), Signal(width, reset_less=True)
        last_valid = Signal()
        one = Signal(data.StructLayout({"valid": 1, "fresh": 1, "row": self.fetch.row.shape()}))
        m.d.sync += [
            last_valid.eq(self.store.enable),
            one.valid.eq(self.fetch.enable | self.fresh), one.fresh.eq(self.fresh), one.row.eq(self.fetch.row),
        ]  # fmt: skip
        with m.If(self.store.enable):
            m.d.sync += [last_store.eq(self.store.row), last_stored.eq(self.stored)]
        fetched = Signal(width, reset_less=True)
        with m.If(one.fresh):
            m.d.sync += fetched.eq(self.initial)
        with m.Elif(self.store.enable & (self.store.row == one.row)):
            m.d.sync += fetched.eq(self.stored)
        with m.Elif(last_valid & (last_store == one.row)):
            m.d.sync += fetched.eq(last_stored)
        with m.Elif(one.valid):
            m.d.sync += fetched.eq(Mux(fetch_parity, read_data[1], read_data[0]))

        # Two cycles after: what leaves the array just now.
        two = Signal.like(one)
        m.d.sync += two.eq(one)
        m.d.comb += self.c.eq(Mux(self.store.enable & ~two.fresh & (self.store.row == two.row), self.stored, fetched))
        return m
