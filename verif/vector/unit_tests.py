"""The lane and the converters against the exact model, one vector a clock."""

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from rtl.formats import FLOATS, Format
from rtl.isa import VectorOp
from verif.common.clock import start
from verif.common.params import params, rng
from verif.vector import reference, vectors

OPS = [op for op in VectorOp if op is not VectorOp.NOP]


@cocotb.test()
async def alu_matches_exact_arithmetic(dut):
    """Every operation in random order, with gaps between them: corners, cancellation, ties, saturation, all shifts."""
    count = params()["vectors"]
    draw = rng("alu")
    await start(dut, 4 * count * len(OPS) + 1000)
    jobs = OPS * count
    draw.shuffle(jobs)
    work = [(op, *vectors.operands(draw, op)) for op in jobs]
    # Every shift of both requantisations, with operands that tie.
    work += [
        (op, a, 1 << 30, shift & 0xFF)
        for op in (VectorOp.REQD, VectorOp.REQS) for shift in range(-128, 128) for a in (1, 3, 0xFFFFFFFF, 0xFFFFFFFD, 0x80000000)
    ]
    pending = []
    index = compared = 0
    while compared < len(work):
        await FallingEdge(dut.clk)
        offer = index < len(work) and draw.random() < 0.9
        dut.valid.value = int(offer)
        if offer:
            op, a, b, c = work[index]
            dut.op.value, dut.a.value, dut.b.value, dut.c.value = op.value, a, b, c
        await ReadOnly()
        if int(dut.done.value):
            op, a, b, c = pending.pop(0)
            got, want = int(dut.result.value), reference.apply(op, a, b, c)
            assert got == want, f"{op.name} a={a:08x} b={b:08x} c={c:08x}: {got:08x}, exact {want:08x}"
            compared += 1
        if offer:
            pending.append(work[index])
            index += 1


@cocotb.test()
async def converters_match_exact_rounding(dut):
    """Widening: every FP16, BF16 and INT8 code near a corner, random others. Narrowing: corners and ties of each format."""
    count = params()["vectors"]
    draw = rng("convert")
    await start(dut, 100 * count + 100_000)
    work = []
    for format in Format:
        work += [(format, draw.getrandbits(32)) for _ in range(count)]
        if format in FLOATS:
            work += [(format, vectors.corner(draw, "float")) for _ in range(count)]
            work += [(format, vectors.float_bits(draw, draw.choice([0, 1, 102, 112, 113, 142, 143, 254]))) for _ in range(3 * count)]
            # Exactly half way, and one to either side, at FP32 to TF32, BF16 and FP16.
            work += [
                (format, draw.getrandbits(32) >> place << place | 1 << place - 1 | draw.choice([0, 0, 1]))
                for place in (13, 16) for _ in range(count)
            ]
        else:
            work += [(format, vectors.integer_bits(draw)) for _ in range(3 * count)]
    step = params().get("every", 37)
    work += [(format, code) for format in (Format.FP16, Format.BF16) for code in range(draw.randrange(step), 65536, step)]
    work += [(format, code) for format in (Format.INT8, Format.UINT8) for code in range(256)]
    previous = None
    for format, code in [*work, (Format.FP32, 0)]:
        await FallingEdge(dut.clk)
        dut.format.value, dut.code.value = format.value, code
        await ReadOnly()
        if previous is not None:
            was, bits = previous
            for verb, got, want in (
                ("load", int(dut.value.value), reference.load(bits, was)), ("store", int(dut.narrow.value), reference.store(bits, was)),
            ):
                assert got == want, f"{verb} {was.name} {bits:08x}: {got:08x}, exact {want:08x}"
        previous = (format, code)
