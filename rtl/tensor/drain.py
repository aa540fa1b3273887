"""Drain: finished accumulator rows to L1, converted, or to the vector engine."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.convert import Narrow
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.l1.port import L1Write
from rtl.tensor.accumulator import AccumulatorPort
from rtl.tensor.job import JobLayout
from rtl.tensor.walk_rows import WalkRows

__all__ = ["Drain"]

#: Writes that the L1 has not yet confirmed; more than its latency.
_WRITES = 15


class Drain(wiring.Component):
    """Half a row of columns a cycle to L1 in any format of D, or `vector_lanes` columns a cycle to the vector engine.

    Members
    -------
    start
        Takes `job`, which then holds still.
    tile
        One pulse: the next bank is complete.
    release
        One pulse: the last row of a bank has been read.
    drain, drained
        To the accumulators.
    write, result
        To L1 and to the vector engine. Lanes beyond the last column are zero.
    done
        High while no job is under way: every byte is written, or every row was taken.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        lanes = data.ArrayLayout(32, config.vector_lanes)
        super().__init__({
            "start": In(1), "job": In(JobLayout(config)), "tile": In(1), "release": Out(1),
            "drain": Out(AccumulatorPort(config)), "drained": In(data.ArrayLayout(32, config.pe_columns)),
            "write": Out(L1Write(config.l1_address_bits, config.c_bytes)), "result": Out(stream.Signature(lanes)),
            "done": Out(1, init=1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        config, job = self.config, self.job
        half = config.pe_columns // 2
        m.submodules.walk = walk = WalkRows(config)
        m.submodules.write_register = writes = StreamRegister(self.write.signature.request_shape)
        m.submodules.result_register = results = StreamRegister(self.result.payload.shape())
        beat = walk.beat.payload
        m.d.comb += [
            walk.start.eq(self.start), walk.element.eq(job.d_element),
            walk.beat_columns.eq(Mux(job.to_vector, config.vector_lanes, half)),
            walk.ow.eq(job.ow), walk.oh.eq(job.oh), walk.n.eq(job.n), walk.batch.eq(job.batch),
            walk.base.eq(job.d_base), walk.by_ow.eq(job.d_ow), walk.by_oh.eq(job.d_oh), walk.by_batch.eq(job.d_batch),
        ]  # fmt: skip

        # Which bank is complete, and which of its rows is next. `loaded`: the row of the walk's beat stands at `drained`.
        full, bank = Signal(2), Signal()
        row = Signal(range(config.accumulator_rows))
        loaded = Signal()
        move, row_done = Signal(), Signal()
        row_end = row.all() | beat.last_m
        tile_end = row_done & row_end
        fetch = full.any() & walk.beat.valid & ~loaded
        fetch_next = row_done & ~row_end
        m.d.comb += [
            row_done.eq(move & beat.last), self.release.eq(tile_end),
            self.drain.enable.eq(fetch | fetch_next), self.drain.bank.eq(bank), self.drain.row.eq(Mux(fetch_next, row + 1, row)),
        ]
        m.d.sync += full.eq(full + self.tile - tile_end)
        with m.If(fetch):
            m.d.sync += loaded.eq(1)
        with m.If(row_done):
            m.d.sync += row.eq(Mux(row_end, 0, row + 1))
            with m.If(row_end):
                m.d.sync += [loaded.eq(0), bank.eq(~bank)]

        # First register: the columns of the beat.
        held, held_valid = Signal(walk.beat.payload.shape()), Signal()
        words = Signal(data.ArrayLayout(32, half), reset_less=True)
        lanes = Signal(data.ArrayLayout(32, config.vector_lanes), reset_less=True)
        pending = Signal(range(_WRITES + 1))
        onward = Mux(job.to_vector, results.input.ready, writes.input.ready & (pending != _WRITES))
        m.d.comb += [move.eq(walk.beat.valid & loaded & (onward | ~held_valid)), walk.beat.ready.eq(move)]
        with m.If(onward | ~held_valid):
            m.d.sync += held_valid.eq(move)
        row_bits = self.drained.as_value()
        with m.If(move):
            m.d.sync += held.eq(beat)
            with m.If(job.to_vector):
                m.d.sync += lanes.eq(row_bits.word_select(beat.number, 32 * config.vector_lanes))
            with m.Else():
                m.d.sync += words.eq(Mux(beat.number[0], row_bits[32 * half :], row_bits[: 32 * half]))

        # Second register: converted and packed, at the boundary of the block.
        codes = []
        for column in range(half):
            m.submodules[f"narrow{column}"] = narrow = Narrow()
            m.d.comb += [narrow.value.eq(words[column]), narrow.format.eq(job.d_format)]
            codes.append(narrow.code)
        short = job.d_element == 1
        request = writes.input.payload
        m.d.comb += [
            request.address.eq(held.address),
            request.data.eq(Mux(short, Cat(code[:16] for code in codes), Cat(codes))),
            request.strobe.eq(Mux(
                short,
                Cat((held.columns > column).replicate(2) for column in range(half)),
                Cat((held.columns > column).replicate(4) for column in range(half)),
            )),
            writes.input.valid.eq(held_valid & ~job.to_vector & (pending != _WRITES)),
            results.input.valid.eq(held_valid & job.to_vector),
            *(results.input.payload[lane].eq(Mux(held.columns > lane, lanes[lane], 0)) for lane in range(config.vector_lanes)),
        ]  # fmt: skip
        wiring.connect(m, writes.output, wiring.flipped(self.write.request))
        wiring.connect(m, results.output, wiring.flipped(self.result))

        m.d.sync += pending.eq(pending + (writes.input.valid & writes.input.ready) - self.write.written)
        with m.If(self.start):
            m.d.sync += self.done.eq(0)
        with m.Elif(~walk.beat.valid & ~held_valid & ~results.output.valid & (pending == 0)):
            m.d.sync += self.done.eq(1)
        return m
