"""Walks the rows of results: those of C as they are read, and those of D as they are written."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig

__all__ = ["Beat", "RowsJob", "WalkRows"]


class RowsJob(data.StructLayout):
    """Which rows of results to walk, and how."""

    def __init__(self, config: ChipConfig):
        address = config.l1_address_bits
        super().__init__({
            "once": 1,  # only the first row of each column tile
            "element": 2,  # log2 of bytes
            "beat_columns": range(config.pe_columns + 1),
            "ow": 16, "oh": 16, "n": 16, "batch": 16,
            "base": address, "by_ow": address, "by_oh": address, "by_batch": address,
        })  # fmt: skip


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
    job
        Taken while nothing is walked, or with the last beat of the job before.
    beat
        The next beat, one cycle after its job was taken.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({"job": In(stream.Signature(RowsJob(config))), "beat": Out(stream.Signature(Beat(config)))})

    def elaborate(self, platform):
        m = Module()
        beat = self.beat.payload
        columns = self.config.pe_columns
        job = Signal(RowsJob(self.config))

        ow, oh, n, batch = (Signal(16, name=name) for name in ("ow", "oh", "n", "batch"))
        left, number = Signal.like(beat.columns), Signal.like(beat.number)
        at_beat, at_ow, at_oh, at_n, at_batch = (
            Signal(self.config.l1_address_bits, name=f"at_{name}") for name in ("beat", "ow", "oh", "n", "batch")
        )

        row_end, ow_end, n_end, batch_end = left <= job.beat_columns, (ow == 1) | job.once, n <= columns, batch == 1
        m_end = ow_end & ((oh == 1) | job.once)
        m.d.comb += [
            beat.address.eq(at_beat), beat.columns.eq(Mux(row_end, left, job.beat_columns)), beat.number.eq(number),
            beat.last.eq(row_end), beat.last_m.eq(m_end),
        ]  # fmt: skip

        next_ow, next_oh, next_batch = at_ow + job.by_ow, at_oh + job.by_oh, at_batch + job.by_batch
        next_n = Mux(n_end, next_batch, at_n + (columns << job.element))
        following = Mux(n_end, job.n, n - columns)[:16]

        def width(n):
            return Mux(n < columns, n, columns)

        def jump(target, *places):
            return [at.eq(target) for at in (at_beat, at_ow, *places)]

        end = Signal()
        m.d.comb += end.eq(self.beat.valid & self.beat.ready & row_end & m_end & n_end & batch_end)
        with m.If(self.beat.valid & self.beat.ready):
            with m.If(~row_end):
                m.d.sync += [
                    left.eq(left - job.beat_columns), number.eq(number + 1), at_beat.eq(at_beat + (job.beat_columns << job.element)),
                ]  # fmt: skip
            with m.Else():
                m.d.sync += [left.eq(width(Mux(m_end, following, n))), number.eq(0)]
                with m.If(~ow_end):
                    m.d.sync += [ow.eq(ow - 1), *jump(next_ow)]
                with m.Elif(~m_end):
                    m.d.sync += [ow.eq(job.ow), oh.eq(oh - 1), *jump(next_oh, at_oh)]
                with m.Else():
                    m.d.sync += [ow.eq(job.ow), oh.eq(job.oh), n.eq(following), *jump(next_n, at_oh, at_n)]
                    with m.If(n_end):
                        m.d.sync += [batch.eq(batch - 1), at_batch.eq(next_batch)]
        m.d.comb += self.job.ready.eq(~self.beat.valid | end)
        new = self.job.payload
        with m.If(self.job.ready):
            m.d.sync += self.beat.valid.eq(self.job.valid)
            with m.If(self.job.valid):
                m.d.sync += [
                    job.eq(new), ow.eq(new.ow), oh.eq(new.oh), n.eq(new.n), batch.eq(new.batch), left.eq(width(new.n)), number.eq(0),
                    *jump(new.base, at_oh, at_n, at_batch),
                ]  # fmt: skip
        return m
