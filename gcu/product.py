"""The two workloads of `gcu gemm`: one tensor command on operands in L1, or a compiled program from L3 to L3."""

from dataclasses import dataclass

import numpy as np

from compiler.assembler import Program, assemble, micro_ops
from compiler.compile import compile_graph
from compiler.errors import CompileError
from compiler.graph import Contraction, Graph, Lanes, Tensor
from compiler.micro import rescale
from compiler.moves import Address, Dimension, move
from gcu.errors import BadInput
from gcu.operands import Operand
from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import Engine, Space, TensorMode, VectorMode
from sim.job import Job
from sim.workload import Segment, Workload

__all__ = ["Product", "check_room", "from_l1", "from_l3"]

#: L3 places of the workload in L1: images, operands, result.
_IMAGES, _DATA = 0x0000, 0x4000


@dataclass(frozen=True)
class Product:
    """What is multiplied, and how."""

    a: Operand
    b: Operand
    result: Format
    a_codes: np.ndarray
    b_codes: np.ndarray
    #: Factor of the requantisation, where C is INT8.
    scale: float | None = None
    skip_zero: bool = False
    #: Rows, columns and depth of one command, where the user wants to cut.
    tile: tuple[int, int, int] | None = None

    @property
    def m(self) -> int:
        return self.a.rows

    @property
    def n(self) -> int:
        return self.b.columns

    @property
    def k(self) -> int:
        return self.a.columns

    @property
    def format(self) -> Format:
        return self.a.format

    @property
    def lanes(self) -> Lanes | None:
        """Micro-program from INT32 sums to INT8: the nearest-even integer of float32(float32(sum) * scale), saturated."""
        if self.scale is None:
            return None
        sums = Tensor("sums", 1, self.m, self.n, Format.INT32, (self.m, self.n), self.scale)
        return rescale(sums, Tensor("C", 1, self.m, self.n, self.result, (self.m, self.n), 1.0), False)


def _sizes(a: Operand, b: Operand, result: Format) -> list[int]:
    """Bytes of A, B and C, in whole lines of 16 byte."""
    e, r = CONTAINER_BYTES[a.format], CONTAINER_BYTES[result]
    return [-(-size // 16) * 16 for size in (a.rows * a.columns * e, b.rows * b.columns * e, a.rows * b.columns * r)]


def check_room(a: Operand, b: Operand, result: Format, config: ChipConfig, memory: str):
    """Raises :class:`BadInput` for a product that doesn't fit, before its operands are made."""
    size = sum(_sizes(a, b, result))
    if size > config.l3_bytes:
        raise BadInput(f"A, B and C take {size} byte, but device memory of {config.name} has {config.l3_bytes}; take smaller matrices")
    if memory == "ideal" and size > config.l1_bytes:
        raise BadInput(
            f"A, B and C take {size} byte, but L1 of {config.name} has {config.l1_bytes}; --memory hbm runs it tiled through L3"
        )


def from_l1(product: Product, config: ChipConfig) -> tuple[Workload, int]:
    """Three jobs: A and B into L1, the product, C out of L1; and the number of the job that is measured, the second."""
    m, n, k = product.m, product.n, product.k
    e, r = CONTAINER_BYTES[product.format], CONTAINER_BYTES[product.result]
    sizes = _sizes(product.a, product.b, product.result)
    a_l1, b_l1, c_l1 = 0, sizes[0], sizes[0] + sizes[1]
    a_l3, b_l3, c_l3 = _DATA, _DATA + sizes[0], -(-(_DATA + sizes[0] + sizes[1]) // 256) * 256
    load, multiply, store = Program(), Program(), Program()
    for source, target, count in ((a_l3, a_l1, m * k), (b_l3, b_l1, k * n)):
        move(load, Address(Space.L3, source), Address(Space.L1, target), [Dimension(count, e, e)], e, 1)
    move(store, Address(Space.L1, c_l1), Address(Space.L3, c_l3), [Dimension(m * n, r, r)], r, 3)
    _multiply(multiply, product, config, a_l1, b_l1, c_l1)
    segments, jobs = [Segment(a_l3, product.a_codes.tobytes()), Segment(b_l3, product.b_codes.tobytes())], []
    place = _IMAGES
    for program in (load, multiply, store):
        program.end()
        image = assemble(config, {0: program}).to_bytes()
        segments.append(Segment(place, image))
        jobs.append(Job(place, 0, 0))
        place += -(-len(image) // 256) * 256
    assert place <= _DATA
    return Workload(config, tuple(segments), tuple(jobs), ((c_l3, m * n * r),), "ideal", recorded_jobs=3), 1


def _multiply(program: Program, product: Product, config: ChipConfig, a: int, b: int, c: int):
    """One tensor command, and where C is INT8 one vector command that takes its sums."""
    m, n, k = product.m, product.n, product.k
    e, r = CONTAINER_BYTES[product.format], CONTAINER_BYTES[product.result]
    transpose_a, transpose_b, lanes = product.a.transposed, product.b.transposed, product.lanes
    mode = {
        "a_format": product.format, "d_format": product.result if lanes is None else Format.INT32, "to_vector": int(lanes is not None),
        "transpose_a": int(transpose_a), "transpose_b": int(transpose_b), "skip_zero": int(product.skip_zero),
    }
    words = dict(
        mode=TensorMode.const(mode), tag=2, kh=1, kw=1, channels=k, ow=m, oh=1, n=n, batch=1, a_base=a,
        a_c=m * e if transpose_a else config.lanes(product.format) * e, b_base=b, b_k=(k if transpose_b else n) * e,
    )
    if not transpose_a:
        words["a_ow"] = k * e
    if lanes is None:
        words |= dict(d_base=c, d_ow=n * r)
    program.set(Engine.TENSOR, **words)
    program.run(Engine.TENSOR)
    if lanes is not None:
        vector = VectorMode.const({"x_format": Format.INT32, "z_format": product.result, "from_tensor": 1, "ops": len(lanes.steps)})
        program.set(
            Engine.VECTOR, mode=vector, tag=2, n=n, ow=m, oh=1, kh=1, kw=1, z_base=c, z_ow=n * r, s0=lanes.s0, **micro_ops(*lanes.steps),
        )
        program.run(Engine.VECTOR)


def from_l3(product: Product, config: ChipConfig) -> tuple[Workload, int]:
    """One job, tiled by the compiler, everything from L3 to L3; and its number."""
    a = Tensor("A", 1, *product.a.shape, product.format, product.a.shape)
    b = Tensor("B", 1, *product.b.shape, product.format, product.b.shape)
    c = Tensor("C", 1, product.m, product.n, product.result, (product.m, product.n))
    kernel = Contraction(
        "gemm", ("gemm",), a, c, y=b, transpose_a=product.a.transposed, transpose_b=product.b.transposed, lanes=product.lanes,
        skip_zero=product.skip_zero, tile=product.tile,
    )
    try:
        compiled = compile_graph(Graph("gemm", [kernel], [a, b], [c]), config)
    except CompileError as error:
        raise BadInput(str(error)) from None
    segments = [Segment(address, data) for address, data in compiled.segments]
    places, end = [], compiled.end + 256
    for tensor in (a, b, c):
        places.append(end)
        end = -(-(end + tensor.bytes) // 256) * 256
    segments.append(Segment(compiled.end, np.array(places, "<u4").tobytes()))
    segments += [Segment(places[0], product.a_codes.tobytes()), Segment(places[1], product.b_codes.tobytes())]
    try:
        return Workload(config, tuple(segments), (Job(compiled.image, compiled.end, 3),), ((places[2], c.bytes),), "hbm"), 0
    except ValueError as error:
        raise BadInput(str(error)) from None
