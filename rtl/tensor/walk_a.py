"""Walks the rows of A in the order in which they enter the array."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.l1.port import L1Read
from rtl.tensor.job import JobLayout

__all__ = ["RowNote", "WalkA"]


class RowNote(data.StructLayout):
    """What the array must know of a row of A. A *pass* is the set of rows that meets one set of weights, a *tile* the passes over one
    accumulator bank."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "elements": range(8 * config.pe_rows + 1),  # elements of K that take part
            "first_pass": 1,  # of the tile
            "last_pass": 1,
            "first_row": 1,  # of the pass
            "last_row": 1,
            "last_m": 1,  # the last row of m in this column tile
            "last": 1,  # of the job
        })  # fmt: skip


class WalkA(wiring.Component):
    """One row of A a cycle, by running sums: batch, column tile, accumulator tile, kh, kw, groups of channels, rows of m.

    Members
    -------
    start
        Takes `job`, which then holds still until the walk has ended.
    access
        Address, bytes and note of the next row.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        request = L1Read(config.l1_address_bits, config.a_bytes).request_shape
        super().__init__({
            "start": In(1), "job": In(JobLayout(config)),
            "access": Out(stream.Signature(data.StructLayout({**dict(request.members), "note": RowNote(config)}))),
        })

    def elaborate(self, platform):
        m = Module()
        job, access = self.job, self.access.payload
        note = access.note
        address = self.config.l1_address_bits

        # Where we are in m, and where the tile began.
        place = data.StructLayout({"ow": 16, "oh": 16, "row": address, "at": address})  # still to go; start of the oh row; offset
        here, origin = Signal(place), Signal(place)
        row = Signal(range(self.config.accumulator_rows))
        # Where we are in k, and in the outer loops.
        channels, kw, kh, n, batch = (Signal(16, name=name) for name in ("channels", "kw", "kh", "n", "batch"))
        at_channel, at_kw, at_kh, at_batch = (Signal(address, name=f"at_{name}") for name in ("channel", "kw", "kh", "batch"))

        channels_end, kw_end, kh_end = channels <= job.pass_elements, kw == 1, kh == 1
        first_k = Signal()
        ow_end, oh_end = here.ow == 1, here.oh == 1
        m_end = ow_end & oh_end
        row_end = row.all() | m_end
        k_end = channels_end & kw_end & kh_end
        n_end, batch_end = n <= self.config.pe_columns, batch == 1

        elements = Mux(channels_end, channels, job.pass_elements)[: len(note.elements)]
        m.d.comb += [
            access.address.eq(here.at + at_channel),
            access.size.eq(elements << job.element),
            note.elements.eq(elements),
            note.first_pass.eq(first_k), note.last_pass.eq(k_end),
            note.first_row.eq(row == 0), note.last_row.eq(row_end),
            note.last_m.eq(m_end),
            note.last.eq(m_end & k_end & n_end & batch_end),
        ]  # fmt: skip

        # The next place in m: one sum for a step in ow, one for a step in oh.
        following = Signal(place)
        next_row = Signal(address)
        m.d.comb += [
            next_row.eq(here.row + job.a_oh),
            following.ow.eq(Mux(ow_end, job.ow, here.ow - 1)),
            following.oh.eq(here.oh - ow_end),
            following.row.eq(Mux(ow_end, next_row, here.row)),
            following.at.eq(Mux(ow_end, next_row, here.at + job.a_ow)),
        ]
        base = Signal(address)
        m.d.comb += base.eq(Mux(m_end & n_end, at_batch + job.a_batch, at_batch))

        def begin_m():
            return [
                place.eq(value) for target in (here, origin)
                for place, value in ((target.ow, job.ow), (target.oh, job.oh), (target.row, 0), (target.at, 0))
            ]  # fmt: skip

        def begin_k(base):
            return [
                channels.eq(job.channels), kw.eq(job.kw), kh.eq(job.kh), first_k.eq(1),
                *(at.eq(base) for at in (at_channel, at_kw, at_kh)),
            ]  # fmt: skip

        with m.If(self.access.valid & self.access.ready):
            m.d.sync += row.eq(Mux(row_end, 0, row + 1))
            with m.If(~row_end):
                m.d.sync += here.eq(following)
            with m.Elif(~k_end):
                m.d.sync += here.eq(origin)
                self._next_k(m, channels_end, kw_end, (channels, kw, kh), (at_channel, at_kw, at_kh), first_k)
            with m.Else():
                m.d.sync += begin_k(base)
                with m.If(~m_end):
                    m.d.sync += [here.eq(following), origin.eq(following)]
                with m.Else():
                    m.d.sync += [*begin_m(), n.eq(n - self.config.pe_columns)]
                    with m.If(n_end):
                        m.d.sync += [n.eq(job.n), batch.eq(batch - 1), at_batch.eq(base), self.access.valid.eq(~batch_end)]
        with m.If(self.start):
            m.d.sync += [
                *begin_m(), *begin_k(job.a_base), row.eq(0), n.eq(job.n), batch.eq(job.batch), at_batch.eq(job.a_base),
                self.access.valid.eq(1),
            ]  # fmt: skip
        return m

    def _next_k(self, m, channels_end, kw_end, left, at, first_k):
        """The next pass of the tile: groups of channels, else the next tap."""
        job = self.job
        channels, kw, kh = left
        at_channel, at_kw, at_kh = at
        next_kw, next_kh = at_kw + job.a_kw, at_kh + job.a_kh
        m.d.sync += first_k.eq(0)
        with m.If(~channels_end):
            m.d.sync += [channels.eq(channels - job.pass_elements), at_channel.eq(at_channel + job.a_pass)]
        with m.Else():
            m.d.sync += channels.eq(job.channels)
            with m.If(~kw_end):
                m.d.sync += [kw.eq(kw - 1), at_kw.eq(next_kw), at_channel.eq(next_kw)]
            with m.Else():
                m.d.sync += [kw.eq(job.kw), kh.eq(kh - 1), *(at.eq(next_kh) for at in (at_kh, at_kw, at_channel))]
