"""Runs a ping-pong pair on the chip and draws its waveform: `python docs/ping_pong.py [FILE.png]`, by default `docs/ping_pong.png`.

The data engine fills one of two buffers in L1 while the vector engine works on the other. Two events a buffer say whose turn it is, and
each RUN changes only the addresses of the command before.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from compiler.assembler import Program, Reg, assemble, micro_ops
from gcu.execute import check_outcomes, execute, wave_files
from gcu.waves.overview import draw_overview
from gcu.waves.waveform import Waveform
from rtl.config import ChipConfig
from rtl.formats import Format
from rtl.isa import DataOp, Engine, Space, VectorOp, VectorSource
from sim.job import Job
from sim.workload import Segment, Workload

__all__ = ["draw", "program"]

ROWS = COLUMNS = 64
TILE = ROWS * COLUMNS
TILES = 8

#: L1: two buffers, then the results. L3: the tiles, the results, the program.
BUFFERS, RESULTS = (0, TILE), 2 * TILE
TILES_L3, RESULTS_L3, IMAGE = 0, 0x20000, 0x40000
#: Events of each buffer.
FREE, FULL = (0, 1), (2, 3)
LOAD, WORK, STORE = 1, 2, 3


def program() -> Program:
    """Results = max(tiles, 0), INT8, a tile a command."""
    p = Program()
    source, result = Reg(0), Reg(1)
    p.load(source, TILES_L3)
    p.load(result, RESULTS)
    p.signal(*FREE)
    p.set(
        Engine.DATA, mode={"op": DataOp.COPY, "source": Space.L3, "destination": Space.L1}, tag=LOAD, size0=TILE, src_stride0=1,
        dst_stride0=1, **{f"size{dimension}": 1 for dimension in range(1, 5)},
    )  # fmt: skip
    p.set(
        Engine.VECTOR, mode={"x_format": Format.INT8, "z_format": Format.INT8, "ops": 1}, tag=WORK, n=COLUMNS, ow=ROWS, oh=1, kw=1, kh=1,
        x_ow=COLUMNS, z_ow=COLUMNS, **micro_ops((VectorOp.IMAX, 0, VectorSource.V0, VectorSource.ZERO)),
    )  # fmt: skip
    with p.loop(TILES // 2):
        for buffer, free, full in zip(BUFFERS, FREE, FULL, strict=True):
            p.set_register(Engine.DATA, "src_base", source, TILE)
            p.set(Engine.DATA, dst_base=buffer)
            p.run(Engine.DATA, wait=(free,), signal=(full,))
            p.set_register(Engine.VECTOR, "z_base", result, TILE)
            p.set(Engine.VECTOR, x_base=buffer)
            p.run(Engine.VECTOR, wait=(full,), signal=(free,))
    p.fence(Engine.VECTOR)
    p.set(
        Engine.DATA, mode={"op": DataOp.COPY, "source": Space.L1, "destination": Space.L3}, tag=STORE, src_base=RESULTS,
        dst_base=RESULTS_L3, size0=TILES * TILE,
    )  # fmt: skip
    p.run(Engine.DATA)
    p.end()
    return p


def draw(path: Path, config: ChipConfig) -> Path:
    """Raises AssertionError if the results are not numpy's."""
    tiles = np.random.default_rng(1).integers(-128, 128, TILES * TILE, np.int8)
    image = assemble(config, {0: program()}).to_bytes()
    workload = Workload(
        config, (Segment(TILES_L3, tiles.tobytes()), Segment(IMAGE, image)), (Job(IMAGE, 0, 0, 1),), ((RESULTS_L3, len(tiles)),),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = execute(workload, ["golden", "verilator"], folder, waves=True)
        check_outcomes(workload, outcomes, folder)
        for outcome in outcomes.values():
            assert outcome.reads[0] == np.maximum(tiles, 0).tobytes(), f"{outcome.backend}: not max(tiles, 0)"
        tags = {LOAD: "load", WORK: "max(x, 0)", STORE: "store"}
        title = f"{TILES} tiles of {TILE:,} byte through two buffers, {config.name}"
        return draw_overview(Waveform(wave_files(outcomes, folder)[0]), config, path, tags, title)


if __name__ == "__main__":
    print(draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".png"), ChipConfig.load("small")))
