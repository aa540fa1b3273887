"""Gather: reads a list of indices from memory, ahead, and turns each one into where its row begins."""

from amaranth import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.stream import StreamFifo, StreamRegister
from rtl.data_engine.job import SLOT_BITS
from rtl.isa import Space

__all__ = ["Gather", "GatherList", "GatherRow", "IndexError", "IndexRequest"]

#: Bytes that one request fetches; two of them are under way at most.
_GRAIN = 64


class GatherList(data.Struct):
    """A list of `count` int32 and the table of rows that they name."""

    space: Space
    address: 32
    count: 16
    rows: 31
    pitch: 32  #: bytes from one row to the next
    slot: SLOT_BITS


class GatherRow(data.Struct):
    offset: 32  #: bytes from the table's first row, modulo 2^32
    bad: 1  #: there is no such row


class IndexRequest(data.Struct):
    space: Space
    address: 32
    bytes: 7
    slot: SLOT_BITS


#: The list entry at `address` names a row that doesn't exist.
IndexError = data.StructLayout({"valid": 1, "slot": SLOT_BITS, "address": 32})


class Gather(wiring.Component):
    """A row every 6 cycles.

    Members
    -------
    list : stream
        Taken when all rows of the one before have been given.
    request : stream
        Bytes to read, in order; what is asked for has room here.
    push : {count, lane, data}
        Answers: `count` bytes (0: nothing) from lane `lane` up, whole entries.
    row : stream
        A row for each entry, in order.
    error
        One cycle for each bad entry, before its row is offered.
    """

    def __init__(self, width: int):
        self._width = width
        lane_bits = (width - 1).bit_length()
        super().__init__({
            "list": In(stream.Signature(GatherList)), "request": Out(stream.Signature(IndexRequest)),
            "push": In(data.StructLayout({"count": lane_bits + 1, "lane": lane_bits, "data": 8 * width})),
            "row": Out(stream.Signature(GatherRow)), "error": Out(IndexError),
        })

    def elaborate(self, platform):
        m = Module()
        words = self._width // 4
        given = Signal(GatherList)
        to_ask, to_give = Signal(16), Signal(16)
        # Entries that were asked for and have not been taken from the beats yet.
        pending = Signal(range(2 * _GRAIN // 4 + 1))

        take = Signal()
        bytes_asked = Signal(7)
        asked = self.request.valid & self.request.ready
        m.d.comb += [
            self.list.ready.eq(to_give == 0),
            bytes_asked.eq(Mux(to_ask > _GRAIN // 4, _GRAIN, to_ask << 2)),
            self.request.valid.eq((to_ask != 0) & (pending <= _GRAIN // 4)),
            self.request.payload.space.eq(given.space), self.request.payload.address.eq(given.address),
            self.request.payload.bytes.eq(bytes_asked), self.request.payload.slot.eq(given.slot),
        ]
        entry = Signal(32)
        m.d.sync += pending.eq(pending + Mux(asked, bytes_asked >> 2, 0) - take)
        with m.If(asked):
            m.d.sync += [to_ask.eq(to_ask - (bytes_asked >> 2)), given.address.eq(given.address + bytes_asked)]
        with m.If(self.list.valid & self.list.ready):
            listed = self.list.payload
            m.d.sync += [given.eq(listed), to_ask.eq(listed.count), to_give.eq(listed.count), entry.eq(listed.address)]

        # An answer of 64 byte is one beat more than that where it isn't aligned.
        m.submodules.beats = beats = StreamFifo(self.push.shape(), 2 * (_GRAIN // self._width + 1))
        m.d.comb += [beats.input.valid.eq(self.push.count != 0), beats.input.payload.eq(self.push)]
        beat = beats.output.payload
        place = Signal(range(words + 1))
        at = Signal(range(2 * words))
        m.d.comb += at.eq(place + (beat.lane >> 2))
        index = Signal(32)
        m.d.comb += [
            index.eq(Array(beat.data.word_select(n, 32) for n in range(words))[at[: max((words - 1).bit_length(), 1)]]),
            beats.output.ready.eq(take & ((place + 1) << 2 == beat.count)),
        ]
        with m.If(take):
            m.d.sync += place.eq(Mux(beats.output.ready, 0, place + 1))

        # index * pitch, eight bits a cycle.
        m.submodules.rows = rows = StreamRegister(GatherRow)
        wiring.connect(m, rows.output, wiring.flipped(self.row))
        factor, shifted = Signal(32), Signal(32)
        steps = Signal(range(5))
        result = Signal(GatherRow)
        held = Signal()
        m.d.comb += [
            take.eq(beats.output.valid & ~held),
            rows.input.valid.eq(held & (steps == 0)), rows.input.payload.eq(result),
        ]
        outside = index >= given.rows
        m.d.sync += self.error.valid.eq(0)
        with m.If(take):
            m.d.sync += [
                held.eq(1), factor.eq(index), shifted.eq(given.pitch), steps.eq(4), result.offset.eq(0), result.bad.eq(outside),
                self.error.valid.eq(outside), self.error.slot.eq(given.slot), self.error.address.eq(entry), entry.eq(entry + 4),
            ]
        with m.Elif(steps != 0):
            m.d.sync += [
                result.offset.eq(result.offset + factor[:8] * shifted), factor.eq(factor >> 8), shifted.eq(shifted << 8),
                steps.eq(steps - 1),
            ]
        with m.Elif(held & rows.input.ready):
            m.d.sync += [held.eq(0), to_give.eq(to_give - 1)]
        return m
