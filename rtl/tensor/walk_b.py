"""Walks the rows of B in the order in which the shadow weights take them."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.l1.port import L1Read
from rtl.tensor.formats import operand_bits
from rtl.tensor.job import JobLayout

__all__ = ["WalkB", "WeightNote", "line_chunks"]


def line_chunks(config: ChipConfig) -> int:
    """Accesses to B that the weights of one column may take when B is transposed: its elements for all rows of PEs lie side by side."""
    return -(-config.pe_rows * operand_bits(config) // 8 // config.b_bytes)


class WeightNote(data.StructLayout):
    """Where the bytes of an access to B go."""

    def __init__(self, config: ChipConfig):
        super().__init__({
            "format": Format,
            "transposed": 1,
            "pe_row": range(config.pe_rows),
            "lane": 3,
            "upper": 1,  # the upper half of the columns; only rows of 32-bit elements have two halves
            "column": range(config.pe_columns),  # transposed
            "chunk": range(line_chunks(config)),  # transposed: of the column's line
            "line_last": 1,  # transposed: the line is complete
            "last": 1,  # of the pass
        })


class WalkB(wiring.Component):
    """One access to B a cycle: batch, column tile, accumulator tile (the same weights again), passes along k, and in a pass rows of k and
    halves of a row; transposed, columns and chunks of a column's line.

    Members
    -------
    job
        Taken while nothing is walked, or with the last access of the job before.
    access
        Address, bytes and note of the next access, one cycle after its job was taken.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        request = L1Read(config.l1_address_bits, config.b_bytes).request_shape
        super().__init__({
            "job": In(stream.Signature(JobLayout(config))),
            "access": Out(stream.Signature(data.StructLayout({**dict(request.members), "note": WeightNote(config)}))),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        job = Signal(JobLayout(config))
        access = self.access.payload
        note = access.note
        columns, half, b_bytes = config.pe_columns, config.pe_columns // 2, config.b_bytes

        # What is left of K, of the tap, of N, of the batch, and of the tiles of m.
        k, channels, n, batch = (Signal(16, name=name) for name in ("k", "channels", "n", "batch"))
        tiles = Signal.like(job.m_tiles)
        # Place in the pass.
        element, upper = Signal(range(8 * config.pe_rows)), Signal()
        column, chunk = Signal.like(note.column), Signal.like(note.chunk)
        at_row, at_pass, at_n, at_batch = (Signal(config.l1_address_bits, name=f"at_{name}") for name in ("row", "pass", "n", "batch"))

        tap_end = channels <= job.pass_elements
        elements = Mux(tap_end, channels, job.pass_elements)[: len(job.pass_elements)]
        width = Mux(n < columns, n, columns)[: len(range(columns + 1)).bit_length()]

        # By rows of k: columns of this access; n is what is left from this tile on.
        wide = job.element == 2
        rest = Mux(upper, n - half, n)[:16]
        most = Mux(wide, half, columns)
        row_end = upper | ~wide | (n <= half)
        row_bytes = Mux(rest < most, rest, most) << job.element
        rows_end = row_end & (element + 1 == elements)
        # By columns: bytes of this chunk of the line.
        line_bytes = elements << job.element
        left = (line_bytes - chunk * b_bytes)[: len(line_bytes)]
        line_end = left <= b_bytes
        columns_end = line_end & (column + 1 == width)

        pass_end = Mux(job.transpose_b, columns_end, rows_end)
        k_end, tiles_end, n_end, batch_end = tap_end & (k == elements), tiles == 1, n <= columns, batch == 1
        m.d.comb += [
            access.address.eq(at_row + Mux(job.transpose_b, chunk * b_bytes, Mux(upper, 4 * half, 0))),
            access.size.eq(Mux(job.transpose_b, Mux(line_end, left, b_bytes), row_bytes)),
            note.format.eq(job.a_format), note.transposed.eq(job.transpose_b),
            note.pe_row.eq(element >> job.group), note.lane.eq(element & ~(~0 << job.group)), note.upper.eq(upper),
            note.column.eq(column), note.chunk.eq(chunk), note.line_last.eq(line_end), note.last.eq(pass_end),
        ]  # fmt: skip

        next_batch = at_batch + job.b_batch
        next_n = Mux(n_end, next_batch, at_n + Mux(job.transpose_b, sum(job.b_k << bit for bit in range(7) if columns >> bit & 1),
                                                   columns << job.element))
        end = Signal()
        taken = self.access.valid & self.access.ready
        m.d.comb += end.eq(taken & pass_end & k_end & tiles_end & n_end & batch_end)
        with m.If(taken & ~pass_end):
            with m.If(job.transpose_b):
                m.d.sync += chunk.eq(Mux(line_end, 0, chunk + 1))
                with m.If(line_end):
                    m.d.sync += [column.eq(column + 1), at_row.eq(at_row + job.b_k)]
            with m.Else():
                m.d.sync += upper.eq(~row_end)
                with m.If(row_end):
                    m.d.sync += [element.eq(element + 1), at_row.eq(at_row + job.b_k)]
        with m.If(taken & pass_end):
            next_pass = Mux(job.transpose_b, at_pass + line_bytes, at_row + job.b_k)
            m.d.sync += [
                upper.eq(0), element.eq(0), column.eq(0), chunk.eq(0),
                k.eq(Mux(k_end, job.k, k - elements)), channels.eq(Mux(tap_end, job.channels, channels - elements)),
                at_row.eq(next_pass), at_pass.eq(next_pass),
            ]  # fmt: skip
            with m.If(k_end):
                m.d.sync += [at_row.eq(at_n), at_pass.eq(at_n), tiles.eq(tiles - 1)]
                with m.If(tiles_end):
                    m.d.sync += [tiles.eq(job.m_tiles), *(at.eq(next_n) for at in (at_row, at_pass, at_n)), n.eq(n - columns)]
                    with m.If(n_end):
                        m.d.sync += [n.eq(job.n), batch.eq(batch - 1), at_batch.eq(next_batch)]

        new = self.job.payload
        m.d.comb += self.job.ready.eq(~self.access.valid | end)
        with m.If(self.job.ready):
            m.d.sync += self.access.valid.eq(self.job.valid)
            with m.If(self.job.valid):
                m.d.sync += [
                    job.eq(new), k.eq(new.k), channels.eq(new.channels), n.eq(new.n), batch.eq(new.batch), tiles.eq(new.m_tiles),
                    element.eq(0), upper.eq(0), column.eq(0), chunk.eq(0), *(at.eq(new.b_base) for at in (at_row, at_pass, at_n, at_batch)),
                ]  # fmt: skip
        return m
