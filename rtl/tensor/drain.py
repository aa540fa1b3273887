"""Drain: finished accumulator rows to L1, converted, or to the vector engine."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.convert import Narrow
from rtl.common.stream import StreamRegister
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.l1.port import L1Write
from rtl.tensor.accumulator import AccumulatorPort, ring_rows
from rtl.tensor.job import JobLayout
from rtl.tensor.walk_rows import WalkRows

__all__ = ["Drain"]

#: Writes that the L1 has not yet confirmed; more than its latency.
_WRITES = 15


class Drain(wiring.Component):
    """A row a cycle to L1 in a format of 16 bit, half a row in one of 32 bit, or `vector_lanes` columns a cycle to the vector engine.

    Members
    -------
    job
        Taken when the job before is done.
    complete
        One pulse: the next row of the ring is ready.
    release
        One pulse: a row has been read.
    drain, drain_ready, drained
        To the accumulators.
    write, result
        To L1 and to the vector engine. Lanes beyond the last column are zero.
    finished
        One pulse per job: every byte is written, or every row was taken.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        row, lanes = data.ArrayLayout(32, config.pe_columns), data.ArrayLayout(32, config.vector_lanes)
        super().__init__({
            "job": In(stream.Signature(JobLayout(config))), "complete": In(1), "release": Out(1),
            "drain": Out(AccumulatorPort(config)), "drain_ready": In(1), "drained": In(row),
            "write": Out(L1Write(config.l1_address_bits, config.c_bytes)), "result": Out(stream.Signature(lanes)),
            "finished": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        config = self.config
        columns, half, lanes = config.pe_columns, config.pe_columns // 2, config.vector_lanes
        m.submodules.walk = walk = WalkRows(config)
        m.submodules.write_register = writes = StreamRegister(self.write.signature.request_shape)
        m.submodules.result_register = results = StreamRegister(self.result.payload.shape())
        beat = walk.beat.payload

        # One job at a time.
        busy, to_vector, short, d_format = Signal(), Signal(), Signal(), Signal(Format)
        new, start = self.job.payload, Signal()
        m.d.comb += [
            start.eq(self.job.valid & ~busy), self.job.ready.eq(~busy), walk.job.valid.eq(start),
            walk.job.payload.element.eq(new.d_element),
            walk.job.payload.beat_columns.eq(Mux(new.to_vector, lanes, Mux(new.d_element == 1, columns, half))),
            *(walk.job.payload[name].eq(new[name]) for name in ("ow", "oh", "n", "batch")),
            walk.job.payload.base.eq(new.d_base), walk.job.payload.by_ow.eq(new.d_ow), walk.job.payload.by_oh.eq(new.d_oh),
            walk.job.payload.by_batch.eq(new.d_batch),
        ]  # fmt: skip
        with m.If(start):
            m.d.sync += [busy.eq(1), to_vector.eq(new.to_vector), short.eq(new.d_element == 1), d_format.eq(new.d_format)]

        row, leave = self._rows(m)

        # The beat that leaves: columns of the row, converted and packed, into the register at the boundary of the block.
        pending = Signal(range(_WRITES + 1))
        onward = Mux(to_vector, results.input.ready, writes.input.ready & (pending != _WRITES))
        move = Signal()
        m.d.comb += [
            move.eq(row.valid & walk.beat.valid & onward), walk.beat.ready.eq(move), leave.eq(move & beat.last),
            writes.input.valid.eq(row.valid & walk.beat.valid & ~to_vector & (pending != _WRITES)),
            results.input.valid.eq(row.valid & walk.beat.valid & to_vector),
        ]
        upper = ~short & beat.number[0]
        codes = []
        for column in range(columns):
            m.submodules[f"narrow{column}"] = narrow = Narrow()
            value = row.data[column]
            chosen = Mux(upper, row.data[half + column], value) if column < half else value
            m.d.comb += [narrow.value.eq(chosen), narrow.format.eq(d_format)]
            codes.append(narrow.code)
        request = writes.input.payload
        m.d.comb += [
            request.address.eq(beat.address),
            request.data.eq(Mux(short, Cat(code[:16] for code in codes), Cat(codes[:half]))),
            request.strobe.eq(Mux(
                short,
                Cat((beat.columns > column).replicate(2) for column in range(columns)),
                Cat((beat.columns > column).replicate(4) for column in range(half)),
            )),
        ]  # fmt: skip
        words = row.data.as_value().word_select(beat.number, 32 * lanes)
        m.d.comb += [
            results.input.payload[lane].eq(Mux(beat.columns > lane, words.word_select(lane, 32), 0)) for lane in range(lanes)
        ]
        wiring.connect(m, writes.output, wiring.flipped(self.write.request))
        wiring.connect(m, results.output, wiring.flipped(self.result))

        m.d.sync += pending.eq(pending + (writes.input.valid & writes.input.ready) - self.write.written)
        # `walk.beat` is valid one cycle after the start.
        started = Signal()
        m.d.sync += started.eq(start)
        idle = ~walk.beat.valid & ~results.output.valid & (pending == 0) & ~started
        m.d.comb += self.finished.eq(busy & idle)
        with m.If(self.finished):
            m.d.sync += busy.eq(0)
        return m

    def _rows(self, m):
        """Reads rows ahead into a queue of two. Returns the oldest one, {valid, data}, and the signal that takes it."""
        place = Signal(range(ring_rows(self.config)))
        ready = Signal(range(ring_rows(self.config) + 1))
        shape = data.StructLayout({"valid": 1, "data": data.ArrayLayout(32, self.config.pe_columns)})
        row, spare = Signal(shape), Signal(shape)
        reading, read, leave = Signal(), Signal(), Signal()
        # Places that will be taken when a row arrives that is asked for now.
        taken = row.valid + spare.valid + reading - leave
        m.d.comb += [
            self.drain.enable.eq((ready != 0) & (taken < 2)), self.drain.row.eq(place),
            read.eq(self.drain.enable & self.drain_ready), self.release.eq(read),
        ]  # fmt: skip
        m.d.sync += [ready.eq(ready + self.complete - read), place.eq(place + read), reading.eq(read)]
        with m.If(leave | ~row.valid):
            m.d.sync += [
                row.valid.eq(spare.valid | reading), row.data.eq(Mux(spare.valid, spare.data, self.drained)),
                spare.valid.eq(spare.valid & reading),
            ]  # fmt: skip
            with m.If(reading):
                m.d.sync += spare.data.eq(self.drained)
        with m.Elif(reading):
            m.d.sync += [spare.valid.eq(1), spare.data.eq(self.drained)]
        return row, leave
