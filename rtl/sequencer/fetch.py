"""The reader in front of a sequencer: 64-bit words of a window of L3, prefetched into a ring that keeps the running loop."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import CHUNK_BYTES, FABRIC_ADDRESS_BITS, AXI4Read, Burst
from rtl.common.sram import SramDual
from rtl.config import ChipConfig
from rtl.isa import Status
from rtl.sequencer.interface import FetchedWord

__all__ = ["WORD_BITS", "Fetch"]

#: Addresses of 64-bit words in the 32-bit space of L3. All address arithmetic is modulo 2^32 byte.
WORD_BITS = 29


class Fetch(wiring.Component):
    """Reads the words of a window in order, from its start or from where the last jump went.

    A ring of `config.instruction_buffer` words holds what was read. Reads are aligned, full-width INCR bursts up to the end of a
    quarter of the ring or of a 256-byte chunk, and up to `config.outstanding` of them are in flight. They run ahead as far as the
    ring goes without losing a word from `keep` on. A jump outside of what the ring holds or awaits starts again there.

    Members
    -------
    window : {valid, start, words}
        Opens a window of `words` words at word address `start` and moves to its first word. Nothing that was read before is used.
    close
        Ends all reading; bursts in flight are taken and dropped. `idle` says when the last one is through.
    jump : {valid, target}
        Moves to word address `target`. Taken together with the transfer of a word.
    keep : {valid, address}
        While valid, the ring keeps the words from `address` on, which lies at or before `pc`; else from `pc` on.
    word, pc
        The word at `pc` (word address). One word per cycle; the first one comes 3 cycles after a jump inside the ring.
        A word with a bad status is the last one until the next jump.
    beat
        A beat of data arrived in this cycle.
    axi
        Read master. R is always ready.
    """

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({
            "window": In(data.StructLayout({"valid": 1, "start": WORD_BITS, "words": WORD_BITS})),
            "close": In(1),
            "jump": In(data.StructLayout({"valid": 1, "target": WORD_BITS})),
            "keep": In(data.StructLayout({"valid": 1, "address": WORD_BITS})),
            "word": Out(stream.Signature(FetchedWord)),
            "pc": Out(WORD_BITS),
            "idle": Out(1),
            "beat": Out(1),
            "axi": Out(AXI4Read(FABRIC_ADDRESS_BITS, config.bus_bytes, 1)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self.config
        lane_bits = (config.bus_bytes // 8 - 1).bit_length()
        row_bits = WORD_BITS - lane_bits
        rows = config.instruction_buffer >> lane_bits
        ring_bits = (rows - 1).bit_length()
        # A quarter of the ring, so that three bursts cover the latency while one is consumed.
        burst_rows = min(CHUNK_BYTES, 2 * config.instruction_buffer) // config.bus_bytes

        # One error bit beside the beat: a failed read is the business of who wants that very word.
        m.submodules.ring = ring = SramDual(rows, 8 * config.bus_bytes + 1)

        active, stale = Signal(), Signal()
        start, words, end_row = Signal(WORD_BITS), Signal(WORD_BITS), Signal(row_bits)
        # Rows [lowest, received) are in the ring, [received, requested) are on their way.
        lowest, received, requested = Signal(row_bits), Signal(row_bits), Signal(row_bits)
        position = Signal(WORD_BITS)
        row = position[lane_bits:]
        m.d.comb += self.idle.eq((received == requested) & ~self.axi.arvalid)

        # Read side: ring, then the memory's output register, then the output.
        fetched = data.StructLayout({"valid": 1, "lane": max(lane_bits, 1), "bad_entry": 1})
        held = Signal(fetched)
        blocked = Signal()
        inside = (position - start)[:WORD_BITS] < words
        ahead = ~stale & ((row - lowest)[:row_bits] <= (requested - lowest)[:row_bits])
        present = ~stale & ((row - lowest)[:row_bits] < (received - lowest)[:row_bits])
        move = held.valid & (~self.word.valid | self.word.ready)
        advance = Signal()
        m.d.comb += [
            advance.eq(active & ~blocked & (~inside | present) & (~held.valid | move)),
            ring.read_enable.eq(advance & inside),
            ring.read_address.eq(row[:ring_bits]),
        ]
        beats = [ring.read_data[64 * lane:64 * (lane + 1)] for lane in range(1 << lane_bits)]
        chosen = beats[0]
        for lane in range(1, 1 << lane_bits):
            chosen = Mux(held.lane == lane, beats[lane], chosen)
        with m.If(self.word.ready):
            m.d.sync += self.word.valid.eq(0)
        with m.If(self.word.ready & self.word.valid):
            m.d.sync += self.pc.eq(self.pc + 1)
        with m.If(move):
            m.d.sync += [held.valid.eq(0), self.word.valid.eq(1), self.word.payload.data.eq(chosen)]
            with m.If(held.bad_entry):
                m.d.sync += self.word.payload.status.eq(Status.BAD_ENTRY)
            with m.Elif(ring.read_data[-1]):
                m.d.sync += self.word.payload.status.eq(Status.FETCH_BUS)
            with m.Else():
                m.d.sync += self.word.payload.status.eq(Status.OK)
        with m.If(advance):
            m.d.sync += [
                held.valid.eq(1), held.bad_entry.eq(~inside), held.lane.eq(position[:lane_bits] if lane_bits else 0),
                blocked.eq(~inside), position.eq(position + 1),
            ]
        with m.If(self.jump.valid):
            m.d.sync += [
                position.eq(self.jump.target), self.pc.eq(self.jump.target),
                held.valid.eq(0), self.word.valid.eq(0), blocked.eq(0),
            ]

        # Request side.
        in_flight = Signal(range(config.outstanding + 1))
        from_keep = (requested - self.keep.address[lane_bits:])[:row_bits]
        from_pc = (requested - self.pc[lane_bits:])[:row_bits]
        keeping, room = Signal(), Signal(range(rows + 1))
        to_end = (end_row - requested)[:row_bits]
        to_edge = Signal(range(burst_rows + 1))
        wanted, length = Signal(range(burst_rows + 1)), Signal(range(burst_rows + 1))
        edge_bits = (burst_rows - 1).bit_length()
        restart, request = Signal(), Signal()
        m.d.comb += [
            # Nothing is kept that the reader went away from by more than the ring, however wrong the length of the loop was.
            keeping.eq(self.keep.valid & ((from_keep < rows) | ((from_keep == rows) & (from_pc != 0)))),
            room.eq(rows - Mux(keeping, from_keep, from_pc)),
            to_edge.eq(burst_rows - requested[:edge_bits]),
            wanted.eq(Mux(to_end < to_edge, to_end, to_edge)),
            length.eq(Mux(room < wanted, room, wanted)),
            # Small bursts only when the reader would starve.
            request.eq(
                active & ahead & (length != 0) & ((length == wanted) | (row == requested))
                & (in_flight != config.outstanding) & (~self.axi.arvalid | self.axi.arready)
            ),
            restart.eq(active & inside & ~blocked & ~ahead & self.idle),
        ]
        with m.If(self.axi.arready):
            m.d.sync += self.axi.arvalid.eq(0)
        with m.If(request):
            m.d.sync += [
                self.axi.arvalid.eq(1),
                self.axi.araddr.eq(Cat(C(0, 3 + lane_bits), requested)),
                self.axi.arlen.eq(length - 1),
                requested.eq(requested + length),
            ]
            with m.If((requested + length - lowest)[:row_bits] > rows):
                m.d.sync += lowest.eq(requested + length - rows)
        with m.If(restart):
            m.d.sync += [lowest.eq(row), received.eq(row), requested.eq(row), stale.eq(0)]
        m.d.comb += [
            self.axi.arid.eq(0), self.axi.arburst.eq(Burst.INCR), self.axi.arsize.eq(3 + lane_bits), self.axi.rready.eq(1),
            self.beat.eq(self.axi.rvalid),
            ring.write.eq(self.axi.rvalid),
            ring.write_address.eq(received[:ring_bits]),
            ring.write_data.eq(Cat(self.axi.rdata, self.axi.rresp.as_value()[1])),
        ]
        with m.If(self.axi.rvalid):
            m.d.sync += received.eq(received + 1)
        m.d.sync += in_flight.eq(in_flight + request - (self.axi.rvalid & self.axi.rlast))

        with m.If(self.window.valid):
            m.d.sync += [
                active.eq(1), stale.eq(1), blocked.eq(0), held.valid.eq(0), self.word.valid.eq(0),
                start.eq(self.window.start), words.eq(self.window.words), position.eq(self.window.start), self.pc.eq(self.window.start),
                end_row.eq((self.window.start + self.window.words + (1 << lane_bits) - 1)[lane_bits:]),
            ]
        with m.If(self.close):
            m.d.sync += [active.eq(0), held.valid.eq(0), self.word.valid.eq(0)]
        return m
