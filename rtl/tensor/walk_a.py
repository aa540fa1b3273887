"""Walks the rows of A in the order in which they enter the array."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.l1.port import L1Read
from rtl.tensor.formats import block_rows
from rtl.tensor.job import JobLayout

__all__ = ["BlockNote", "RowNote", "WalkA"]


class RowNote(data.StructLayout):
    """What the array must know of a row of A. A *pass* is the set of rows that meets one set of weights, a *tile* the passes over one
    set of accumulator rows."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "format": Format,
            "elements": range(8 * config.pe_rows + 1),  # elements of K that take part
            "columns": range(config.pe_columns + 1),  # of the column tile
            "first_pass": 1,  # of the tile
            "last_pass": 1,
            "first_row": 1,  # of the pass
            "last_row": 1,
            "last": 1,  # of the job
            "last_m": 1,  # the last row of m in this column tile
        })  # fmt: skip


class BlockNote(data.StructLayout):
    """What goes with an access to A: a row, or, transposed, one channel of a block of rows."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "row": RowNote(config),  # `last*` of a block's last row, `first_row` of its first
            "transposed": 1,
            "element": range(8 * config.pe_rows),  # position of the channel in the pass
            "rows": range(block_rows(config, 1) + 1),  # in the block
        })


class WalkA(wiring.Component):
    """One access a cycle, by running sums: batch, column tile, accumulator tile, kh, kw, groups of channels, rows of m.

    An access is a row of A for one pass. Transposed, it is one channel of a block of rows that lie side by side in memory, and the
    channels of the pass follow each other.

    Members
    -------
    job
        Taken while nothing is walked, or with the last access of the job before.
    access
        Address, bytes and note of the next access, one cycle after its job was taken.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        request = L1Read(config.l1_address_bits, config.a_bytes).request_shape
        super().__init__({
            "job": In(stream.Signature(JobLayout(config))),
            "access": Out(stream.Signature(data.StructLayout({**dict(request.members), "note": BlockNote(config)}))),
        })

    def elaborate(self, platform):
        m = Module()
        job = Signal(JobLayout(self.config))
        access = self.access.payload
        note, row_note = access.note, access.note.row
        address, columns = self.config.l1_address_bits, self.config.pe_columns
        tile_rows = self.config.accumulator_rows

        # Where we are in m, and where the tile began.
        place = data.StructLayout({"ow": 16, "oh": 16, "row": address, "at": address})  # still to go; start of the oh row; offset
        here, origin = Signal(place), Signal(place)
        row = Signal(range(tile_rows))
        # Where we are in k, and in the outer loops.
        channels, kw, kh, n, batch = (Signal(16, name=name) for name in ("channels", "kw", "kh", "n", "batch"))
        at_channel, at_kw, at_kh, at_batch = (Signal(address, name=f"at_{name}") for name in ("channel", "kw", "kh", "batch"))
        first_k = Signal()
        # Transposed: the channel of the pass, and its offset from the first.
        element, at_element = Signal.like(note.element), Signal(address)

        # Rows of this step: one, or a block that ends with the row of ow, with the tile, or full.
        most, count = Signal.like(note.rows), Signal.like(note.rows)
        rest = Signal(range(tile_rows + 1))
        m.d.comb += [rest.eq(tile_rows - row), most.eq(Mux(job.element == 2, block_rows(self.config, 4), block_rows(self.config, 1)))]
        with m.If(~job.transpose_a):
            m.d.comb += count.eq(1)
        with m.Elif((here.ow <= most) & (here.ow <= rest)):
            m.d.comb += count.eq(here.ow)
        with m.Else():
            m.d.comb += count.eq(Mux(rest < most, rest, most))

        channels_end, kw_end, kh_end = channels <= job.pass_elements, kw == 1, kh == 1
        ow_end, oh_end = here.ow == count, here.oh == 1
        m_end = ow_end & oh_end
        row_end = (rest == count) | m_end
        k_end = channels_end & kw_end & kh_end
        n_end, batch_end = n <= columns, batch == 1

        elements = Mux(channels_end, channels, job.pass_elements)[: len(row_note.elements)]
        step_end = ~job.transpose_a | (element + 1 == elements)
        m.d.comb += [
            access.address.eq(here.at + at_channel + Mux(job.transpose_a, at_element, 0)),
            access.size.eq(Mux(job.transpose_a, count, elements) << job.element),
            note.transposed.eq(job.transpose_a), note.element.eq(element), note.rows.eq(count),
            row_note.format.eq(job.a_format), row_note.elements.eq(elements), row_note.columns.eq(Mux(n_end, n, columns)),
            row_note.first_pass.eq(first_k), row_note.last_pass.eq(k_end),
            row_note.first_row.eq(row == 0), row_note.last_row.eq(row_end), row_note.last_m.eq(m_end),
            row_note.last.eq(m_end & k_end & n_end & batch_end),
        ]  # fmt: skip

        # The next place in m: one sum for a step in ow, one for a step in oh.
        following = Signal(place)
        next_row = Signal(address)
        m.d.comb += [
            next_row.eq(here.row + job.a_oh),
            following.ow.eq(Mux(ow_end, job.ow, here.ow - count)),
            following.oh.eq(here.oh - ow_end),
            following.row.eq(Mux(ow_end, next_row, here.row)),
            following.at.eq(Mux(ow_end, next_row, here.at + Mux(job.transpose_a, count << job.element, job.a_ow))),
        ]
        base = Signal(address)
        m.d.comb += base.eq(Mux(m_end & n_end, at_batch + job.a_batch, at_batch))

        def begin_m(job):
            return [
                place.eq(value) for target in (here, origin)
                for place, value in ((target.ow, job.ow), (target.oh, job.oh), (target.row, 0), (target.at, 0))
            ]  # fmt: skip

        def begin_k(job, base):
            return [
                channels.eq(job.channels), kw.eq(job.kw), kh.eq(job.kh), first_k.eq(1),
                *(at.eq(base) for at in (at_channel, at_kw, at_kh)),
            ]  # fmt: skip

        taken = self.access.valid & self.access.ready
        with m.If(taken):
            m.d.sync += [element.eq(Mux(step_end, 0, element + 1)), at_element.eq(Mux(step_end, 0, at_element + job.a_c))]
        with m.If(taken & step_end):
            m.d.sync += row.eq(Mux(row_end, 0, row + count))
            with m.If(~row_end):
                m.d.sync += here.eq(following)
            with m.Elif(~k_end):
                m.d.sync += here.eq(origin)
                self._next_k(m, job, channels_end, kw_end, (channels, kw, kh), (at_channel, at_kw, at_kh), first_k)
            with m.Else():
                m.d.sync += begin_k(job, base)
                with m.If(~m_end):
                    m.d.sync += [here.eq(following), origin.eq(following)]
                with m.Else():
                    m.d.sync += [*begin_m(job), n.eq(n - columns)]
                    with m.If(n_end):
                        m.d.sync += [n.eq(job.n), batch.eq(batch - 1), at_batch.eq(base)]

        new = self.job.payload
        m.d.comb += self.job.ready.eq(~self.access.valid | (taken & step_end & row_note.last))
        with m.If(self.job.ready):
            m.d.sync += self.access.valid.eq(self.job.valid)
            with m.If(self.job.valid):
                m.d.sync += [
                    job.eq(new), *begin_m(new), *begin_k(new, new.a_base), row.eq(0), n.eq(new.n), batch.eq(new.batch),
                    at_batch.eq(new.a_base), element.eq(0), at_element.eq(0),
                ]  # fmt: skip
        return m

    def _next_k(self, m, job, channels_end, kw_end, left, at, first_k):
        """The next pass of the tile: groups of channels, else the next tap."""
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
