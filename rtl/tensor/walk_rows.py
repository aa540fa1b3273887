"""Walks the rows of results: those of C as they are read, and those of D as they are written."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig

__all__ = ["Beat", "WalkRows"]


class Beat(data.StructLayout):
    """Some columns of one row of results."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "address": config.l1_address_bits,
            "columns": range(config.pe_columns + 1),
            "number": range(config.pe_columns),  # in the row
            "last": 1,  # of the row
            "last_m": 1,  # in the last row of m of this column tile
        })


class WalkRows(wiring.Component):
    """One beat a cycle: batch, column tile, rows of m, beats of `beat_columns` columns.

    Members
    -------
    start
        Takes the job, whose parts (sizes, `base`, strides, `element` as log2 of bytes, `beat_columns`) then hold still until the walk has
        ended.
    once
        Only the first row of each column tile.
    beat
        The next beat.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        address = config.l1_address_bits
        super().__init__({
            "start": In(1), "once": In(1), "element": In(2), "beat_columns": In(range(config.pe_columns + 1)),
            "ow": In(16), "oh": In(16), "n": In(16), "batch": In(16),
            "base": In(address), "by_ow": In(address), "by_oh": In(address), "by_batch": In(address),
            "beat": Out(stream.Signature(Beat(config))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        beat = self.beat.payload
        columns = self.config.pe_columns

        ow, oh, n, batch = (Signal(16, name=name) for name in ("ow", "oh", "n", "batch"))
        left, number = Signal.like(beat.columns), Signal.like(beat.number)
        at_beat, at_ow, at_oh, at_n, at_batch = (
            Signal(self.config.l1_address_bits, name=f"at_{name}") for name in ("beat", "ow", "oh", "n", "batch")
        )

        row_end, ow_end, n_end, batch_end = left <= self.beat_columns, (ow == 1) | self.once, n <= columns, batch == 1
        m_end = ow_end & ((oh == 1) | self.once)
        m.d.comb += [
            beat.address.eq(at_beat), beat.columns.eq(Mux(row_end, left, self.beat_columns)), beat.number.eq(number),
            beat.last.eq(row_end), beat.last_m.eq(m_end),
        ]  # fmt: skip

        next_ow, next_oh, next_batch = at_ow + self.by_ow, at_oh + self.by_oh, at_batch + self.by_batch
        next_n = Mux(n_end, next_batch, at_n + (columns << self.element))
        following = Mux(n_end, self.n, n - columns)[:16]

        def width(n):
            return Mux(n < columns, n, columns)

        def jump(target, *places):
            return [at.eq(target) for at in (at_beat, at_ow, *places)]

        with m.If(self.beat.valid & self.beat.ready):
            with m.If(~row_end):
                m.d.sync += [
                    left.eq(left - self.beat_columns), number.eq(number + 1), at_beat.eq(at_beat + (self.beat_columns << self.element)),
                ]  # fmt: skip
            with m.Else():
                m.d.sync += [left.eq(width(Mux(m_end, following, n))), number.eq(0)]
                with m.If(~ow_end):
                    m.d.sync += [ow.eq(ow - 1), *jump(next_ow)]
                with m.Elif(~m_end):
                    m.d.sync += [ow.eq(self.ow), oh.eq(oh - 1), *jump(next_oh, at_oh)]
                with m.Else():
                    m.d.sync += [ow.eq(self.ow), oh.eq(self.oh), n.eq(following), *jump(next_n, at_oh, at_n)]
                    with m.If(n_end):
                        m.d.sync += [batch.eq(batch - 1), at_batch.eq(next_batch), self.beat.valid.eq(~batch_end)]
        with m.If(self.start):
            m.d.sync += [
                ow.eq(self.ow), oh.eq(self.oh), n.eq(self.n), batch.eq(self.batch), left.eq(width(self.n)), number.eq(0),
                *jump(self.base, at_oh, at_n, at_batch), self.beat.valid.eq(1),
            ]  # fmt: skip
        return m
