"""Walks the rows of B in the order in which the shadow weights take them."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.l1.port import L1Read
from rtl.tensor.job import JobLayout

__all__ = ["WalkB", "WeightNote"]


class WeightNote(data.StructLayout):
    """Where the bytes of an access to B go."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "element": range(8 * config.pe_rows),  # position in the pass, along K
            "upper": 1,  # the upper half of the columns; only rows of 32-bit elements have two halves
            "last": 1,  # of the pass
        })


class WalkB(wiring.Component):
    """One access to B a cycle: batch, column tile, accumulator tile (the same weights again), k, halves of a row.

    Members
    -------
    start
        Takes `job`, which then holds still until the walk has ended.
    access
        Address, bytes and note of the next access.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        request = L1Read(config.l1_address_bits, config.b_bytes).request_shape
        super().__init__({
            "start": In(1), "job": In(JobLayout(config)),
            "access": Out(stream.Signature(data.StructLayout({**dict(request.members), "note": WeightNote(config)}))),
        })

    def elaborate(self, platform):
        m = Module()
        job, access = self.job, self.access.payload
        note = access.note
        address = self.config.l1_address_bits
        columns, half = self.config.pe_columns, self.config.pe_columns // 2

        k, channels, n, batch = (Signal(16, name=name) for name in ("k", "channels", "n", "batch"))
        tiles = Signal.like(job.m_tiles)
        element = Signal.like(note.element)
        upper = Signal()
        at_row, at_n, at_batch = (Signal(address, name=f"at_{name}") for name in ("row", "n", "batch"))

        wide = job.element == 2
        row_end = upper | ~wide | (n <= half)
        tap_end = channels == 1
        pass_end = tap_end | (element + 1 == job.pass_elements)
        k_end, tiles_end, n_end, batch_end = k == 1, tiles == 1, n <= columns, batch == 1

        # Columns of this access; n is what is left from this tile on.
        rest = Mux(upper, n - half, n)[:16]
        most = Mux(wide, half, columns)
        m.d.comb += [
            access.address.eq(at_row + Mux(upper, 4 * half, 0)),
            access.size.eq(Mux(rest < most, rest, most) << job.element),
            note.element.eq(element), note.upper.eq(upper), note.last.eq(row_end & pass_end),
        ]  # fmt: skip

        next_batch = at_batch + job.b_batch
        next_n = Mux(n_end, next_batch, at_n + (columns << job.element))
        with m.If(self.access.valid & self.access.ready):
            m.d.sync += upper.eq(~row_end)
            with m.If(row_end):
                m.d.sync += [
                    k.eq(Mux(k_end, job.k, k - 1)),
                    channels.eq(Mux(tap_end, job.channels, channels - 1)),
                    element.eq(Mux(pass_end, 0, element + 1)),
                    at_row.eq(at_row + job.b_k),
                ]
                with m.If(k_end):
                    m.d.sync += [at_row.eq(at_n), tiles.eq(tiles - 1)]
                    with m.If(tiles_end):
                        m.d.sync += [tiles.eq(job.m_tiles), at_row.eq(next_n), at_n.eq(next_n), n.eq(n - columns)]
                        with m.If(n_end):
                            m.d.sync += [n.eq(job.n), batch.eq(batch - 1), at_batch.eq(next_batch), self.access.valid.eq(~batch_end)]
        with m.If(self.start):
            m.d.sync += [
                k.eq(job.k), channels.eq(job.channels), n.eq(job.n), batch.eq(job.batch), tiles.eq(job.m_tiles), element.eq(0), upper.eq(0),
                *(at.eq(job.b_base) for at in (at_row, at_n, at_batch)), self.access.valid.eq(1),
            ]  # fmt: skip
        return m
