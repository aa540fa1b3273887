"""Byte FIFO and realigner: bytes go in from any lanes of a beat and come out on any lanes of another."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.common.sram import SramDual
from rtl.data_engine.splitter import PIECE_BITS

__all__ = ["ByteFifo", "rotate"]


def rotate(m: Module, name: str, word: Value, amount: Value) -> Value:
    """Moves byte i to lane i + amount, modulo the number of lanes (a power of two)."""
    for level in range(len(amount)):
        # A signal for each level, or the emitted expression doubles with every one.
        turned = Signal(len(word), name=f"{name}{level}")
        m.d.comb += turned.eq(Mux(amount[level], word.rotate_left(8 << level), word))
        word = turned
    return word


class ByteFifo(wiring.Component):
    """One SRAM for each byte lane, so that a beat may begin at any lane; two rotators, one before and one behind the SRAMs.

    The bytes form one stream without gaps: a beat of the writer may hold the end of one run and the beginning of the next. The
    reader reserves room before it asks for data, so that nothing that arrives ever waits; the writer claims bytes before it starts
    a burst, so that no burst stalls for data.

    Parameters
    ----------
    width
        Bytes of a beat, a power of two.
    depth
        Bytes of the FIFO, a power of two of at least two chunks: the writer may wait for a whole chunk while the reader lacks
        the room for another.

    Members
    -------
    room : bytes
        Neither reserved nor filled.
    reserve : bytes
        Taken from `room` in this cycle, or 0.
    push : {count, lane, data}
        Takes `count` bytes (0: nothing) from lane `lane` up.
    available : bytes
        Pushed and not yet claimed.
    claim : bytes
        Taken from `available` in this cycle, or 0.
    pop : {valid, count, lane}
        Takes `count` of the claimed bytes; `data` has them from lane `lane` up in the next cycle, until the next `pop.valid`.
    """

    def __init__(self, width: int, depth: int):
        self._width = width
        self._depth = depth
        lane = (width - 1).bit_length()
        bits = depth.bit_length()
        super().__init__({
            "room": Out(bits, init=depth),
            "reserve": In(PIECE_BITS),
            "push": In(data.StructLayout({"count": lane + 1, "lane": lane, "data": 8 * width})),
            "available": Out(bits),
            "claim": In(PIECE_BITS),
            "pop": In(data.StructLayout({"valid": 1, "count": lane + 1, "lane": lane})),
            "data": Out(8 * width),
        })

    def elaborate(self, platform):
        m = Module()
        width, rows = self._width, self._depth // self._width
        lane_bits = (width - 1).bit_length()

        pushed = Signal(range(self._depth))
        popped = Signal(range(self._depth))
        taken = Mux(self.pop.valid, self.pop.count, 0)
        m.d.sync += [
            pushed.eq(pushed + self.push.count),
            popped.eq(popped + taken),
            self.room.eq(self.room - self.reserve + taken),
            self.available.eq(self.available + self.push.count - self.claim),
        ]

        turned = Signal(8 * width)
        turn_in, turn_out = Signal(lane_bits), Signal(lane_bits)
        m.d.comb += [turn_in.eq(pushed - self.push.lane), turned.eq(rotate(m, "in", self.push.data, turn_in))]

        columns = []
        for lane in range(width):
            # Lanes before the first byte's hold the next row.
            def next_row(pointer, lane=lane):
                return pointer[:lane_bits] > lane if lane < width - 1 else 0

            column = SramDual(rows, 8)
            m.submodules[f"lane{lane}"] = column
            distance = (lane - pushed)[:lane_bits]
            m.d.comb += [
                column.write.eq(distance < self.push.count),
                column.write_address.eq(pushed[lane_bits:] + next_row(pushed)),
                column.write_data.eq(turned.word_select(lane, 8)),
                column.read_enable.eq(self.pop.valid),
                column.read_address.eq(popped[lane_bits:] + next_row(popped)),
            ]
            columns.append(column.read_data)
        with m.If(self.pop.valid):
            m.d.sync += turn_out.eq(self.pop.lane - popped)
        m.d.comb += self.data.eq(rotate(m, "out", Cat(columns), turn_out))
        return m
