"""Elements through the converter, against the exact referee."""

import cocotb
import numpy as np

from rtl.data_engine.reshape.beat import beat
from rtl.data_engine.reshape.converter import conversion_beat
from rtl.formats import CONTAINER_BYTES, Format
from verif.common.clock import start
from verif.common.params import params, rng
from verif.common.streams import StreamSink, StreamSource
from verif.data_engine.convert import convert

#: Codes that sit on an edge, as 32-bit patterns; narrower formats take their low bits, or high ones.
EDGES = [
    0, 1, 0x80000000, 0x7F800000, 0xFF800000, 0x7F800001, 0x7FC12345, 0xFFFFFFFF, 0x7FFFFFFF, 0x3F000000, 0x3EFFFFFF, 0x3F000001,
    0x3FC00000, 0x40200000, 0x4EFFFFFF, 0x4F000000, 0xCF000000, 0xCF000001, 0x42FE8000, 0x42FF0000, 0xC3008000, 0x477FE000, 0x477FF000,
    0x33800000, 0x33000000, 0x33000001, 0x38800000, 0x387FC000, 0x00800000, 0x007FFFFF, 0x40400001, 0x40410001, 0x3FFF8000, 0x01000001,
    0x01000003, 0x7FFFFF80, 0x00FFFFFF, (1 << 30) + (1 << 22) + 1, (1 << 30) + (3 << 22) - 1, (1 << 24) + 1, (1 << 24) + 3, 0x00007FFF,
    0x00007BFF, 0x00007C01, 0x0000FC00, 0x00000400, 0x000003FF, 0x0000007F, 0x00000080, 0xFFFFFF80, 0xFFFFFF7F, 0x000000FF, 0x00000100,
    0x3F80FFFF, 0x3F808000, 0x3F818000, 0x3F801000, 0x3F803000,
]


def codes(draw, format: Format, count: int) -> list[int]:
    size = 8 * CONTAINER_BYTES[format]
    found = []
    for _ in range(count):
        value = draw.choice(EDGES) if draw.random() < 0.5 else draw.getrandbits(32)
        if draw.random() < 0.2:
            value ^= 1 << draw.randrange(32)
        if draw.random() < 0.2:
            value = draw.getrandbits(32) >> draw.randrange(32)
        if size < 32 and draw.random() < 0.5:
            value >>= 32 - size
        found.append(value & (1 << size) - 1)
    return found


@cocotb.test()
async def conversions(dut):
    """cp_conversion: every pair of formats, edges and random codes, changing from beat to beat."""
    await start(dut, 60_000)
    width = params()["width"]
    draw = rng("conversions")
    source = StreamSource(dut, "input", conversion_beat(width), rng("input"))
    sink = StreamSink(dut, "output", beat(width), rng("output"))
    pairs = [(a, b) for a in Format for b in Format]
    for _ in range(params().get("rounds", 3)):
        draw.shuffle(pairs)
        wanted = []
        for a, b in pairs:
            for _ in range(draw.randint(1, 3)):
                unit = CONTAINER_BYTES[a]
                elements = codes(draw, a, draw.choice([width // unit, draw.randint(1, width // unit)]))
                raw = b"".join(code.to_bytes(unit, "little") for code in elements)
                source.push({"beat": {"data": int.from_bytes(raw, "little"), "count": len(raw)}, "source": a, "destination": b})
                result = convert(np.frombuffer(raw, np.uint8).reshape(-1, unit), a, b)
                wanted += [(a, b, code, int.from_bytes(bytes(row), "little")) for code, row in zip(elements, result, strict=True)]
        while wanted:
            got = await sink.recv()
            unit = CONTAINER_BYTES[wanted[0][1]]
            assert got.count % unit == 0 and got.count, "parts of elements"
            for place in range(0, got.count, unit):
                a, b, code, right = wanted.pop(0)
                value = got.data >> 8 * place & (1 << 8 * unit) - 1
                assert value == right, f"{a.name} {code:#x} to {b.name}: {value:#x}, not {right:#x}"
