"""Tiles through the transposer: every shape, back to back, and at full rate."""

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from rtl.data_engine.reshape.beat import MAX_LINES, TILE_ROWS, TileShape, beat
from verif.common.clock import start
from verif.common.params import params, rng
from verif.common.streams import StreamSink, StreamSource


def beats(line: bytes, width: int) -> list[dict]:
    """A line or a column, cut into beats."""
    parts = [line[at:at + width] for at in range(0, len(line), width)]
    return [{"data": int.from_bytes(part, "little"), "count": len(part)} for part in parts]


class Bench:
    def __init__(self, dut, stall: float):
        self.width = params()["width"]
        self.rng = rng("tiles")
        self.tile = StreamSource(dut, "tile", TileShape, rng("tile"), stall)
        self.input = StreamSource(dut, "input", beat(self.width), rng("input"), stall)
        self.output = StreamSink(dut, "output", beat(self.width), rng("output"), stall)
        self.expected: list[bytes] = []

    def shape(self) -> tuple[int, int, int]:
        """Lines, elements and element of a tile that fits."""
        draw = self.rng
        while True:
            element = draw.randrange(3)
            per_beat = self.width >> element
            lines = draw.choice([1, 2, per_beat, per_beat + 1, draw.randint(1, 40), draw.randint(1, MAX_LINES)])
            elements = draw.choice([1, 2, per_beat, draw.randint(1, 40), draw.randint(1, MAX_LINES)])
            if -(-lines // per_beat) * elements <= TILE_ROWS // 2 and lines * elements << element <= 1024:
                return lines, elements, element

    def push(self, lines: int, elements: int, element: int):
        unit = 1 << element
        tile = np.frombuffer(self.rng.randbytes(lines * elements * unit), np.uint8).reshape(lines, elements, unit)
        self.tile.push({"lines": lines, "elements": elements, "element": element})
        for line in tile:
            for item in beats(line.tobytes(), self.width):
                self.input.push(item)
        self.expected += [column.tobytes() for column in tile.transpose(1, 0, 2)]

    async def check(self):
        for column in self.expected:
            for wanted in beats(column, self.width):
                got = await self.output.recv()
                assert got.count == wanted["count"], f"{got.count} bytes, not {wanted['count']}"
                assert got.data & (1 << 8 * got.count) - 1 == wanted["data"]
        self.expected = []


@cocotb.test()
async def random_tiles(dut):
    """cp_tile_shape: tiles of every shape and element, back to back."""
    await start(dut, 60_000)
    bench = Bench(dut, 0.3)
    for _ in range(params().get("rounds", 12)):
        for _ in range(3):
            bench.push(*bench.shape())
        await bench.check()


@cocotb.test()
async def rate(dut):
    """cp_tile_rate: tiles of one beat a line follow each other without a gap, in and out."""
    await start(dut, 20_000)
    bench = Bench(dut, 0)
    for element in range(3):
        side = bench.width >> element
        tiles = 6
        for _ in range(tiles):
            bench.push(side, side, element)
        while not int(dut.output__valid.value):
            await FallingEdge(dut.clk)
            await ReadOnly()
        for _ in range(tiles * side):
            assert int(dut.output__valid.value), "a gap"
            await FallingEdge(dut.clk)
            await ReadOnly()
        await bench.check()
        await ClockCycles(dut.clk, 10)
