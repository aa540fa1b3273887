"""Golden data engine against numpy indexing and a loop over the definition: copies, fills, slices and command checks."""

import itertools

import numpy as np
import pytest

from rtl.isa import DataOp, Engine, Space, Status
from sim.golden import data_engine
from sim.golden.outcome import Outcome
from verif.golden.kit import TINY, command_words, dense

L2_END, L1_END, L3_END = TINY.l2_bytes, TINY.l1_bytes, TINY.l3_bytes
RANK = 5


@pytest.fixture(scope="module")
def memory():
    return np.random.default_rng(1).integers(0, 256, L3_END, np.uint8)


@pytest.fixture
def spaces(memory):
    rng = np.random.default_rng(2)
    return {
        Space.L1: rng.integers(0, 256, L1_END, np.uint8), Space.L2: rng.integers(0, 256, L2_END, np.uint8), Space.L3: memory,
    }


def move(op=DataOp.COPY, element=0, source=Space.L3, destination=Space.L1, **over):
    """Words of a command; sizes and the like may be lists (dimension 0 first), the rest is one element at 0."""
    fields = {f"size{d}": 1 for d in range(RANK)}
    if op is DataOp.SLICE:
        fields |= {f"{name}{d}": 1 for name in ("step", "extent") for d in range(RANK)}
    mode = {"op": op, "element": element, "source": source, "destination": destination, **over.pop("mode", {})}
    for name, value in over.items():
        fields |= {f"{name}{d}": each for d, each in enumerate(value)} if isinstance(value, (list, tuple)) else {name: value}
    return command_words(Engine.DATA, mode=mode, **fields)


def definition(spaces, *, op, element, source, destination, size, src_stride, dst_stride, src_base=0, dst_base=0, fill=0,
               offset=None, step=None, extent=None):
    """The destination's bytes, element by element as the command is defined."""
    width = 1 << element
    result = spaces[destination].copy()
    for index in itertools.product(*(range(each) for each in size)):
        value = np.frombuffer(fill.to_bytes(4, "little")[:width], np.uint8)
        inside = op is not DataOp.FILL
        place = index
        if op is DataOp.SLICE:
            place = tuple(o + i * s for o, i, s in zip(offset, index, step, strict=True))
            inside = all(0 <= j < e for j, e in zip(place, extent, strict=True))
        if inside:
            address = src_base + sum(j * s for j, s in zip(place, src_stride, strict=True))
            value = spaces[source][address : address + width]
        address = dst_base + sum(i * s for i, s in zip(index, dst_stride, strict=True))
        result[address : address + width] = value
    return result


@pytest.mark.parametrize("element", (0, 1, 2))
@pytest.mark.parametrize(("source", "destination"), [(Space.L3, Space.L1), (Space.L1, Space.L2), (Space.L2, Space.L3)])
def test_transpose(spaces, element, source, destination):
    width = 1 << element
    shape = (3, 4, 2, 5, 6)
    tensor = np.arange(np.prod(shape)).reshape(shape)
    dtype = np.dtype(f"<u{width}")
    raw = tensor.astype(dtype).reshape(-1).view(np.uint8)
    spaces[source][256 : 256 + len(raw)] = raw
    axes = (4, 1, 3, 0, 2)
    wanted = tensor.transpose(axes).astype(dtype)
    strides = dense(shape, width)
    words = move(
        element=element, source=source, destination=destination, src_base=256, dst_base=4096,
        size=[shape[axis] for axis in axes][::-1], src_stride=[strides[axis] for axis in axes][::-1],
        dst_stride=dense(wanted.shape, width)[::-1],
    )
    assert data_engine.run(TINY, words, spaces) == Outcome()
    got = spaces[destination][4096 : 4096 + wanted.nbytes]
    np.testing.assert_array_equal(got.view(dtype).reshape(wanted.shape), wanted)


def test_mirror_and_broadcast(spaces):
    source = np.arange(12, dtype=np.uint8)
    spaces[Space.L2][:12] = source
    words = move(
        source=Space.L2, size=[4, 3, 2, 1, 1], src_base=3, src_stride=[-1, 4, 0, 0, 0], dst_base=64, dst_stride=[1, 4, 12, 0, 0],
    )
    assert data_engine.run(TINY, words, spaces) == Outcome()
    wanted = np.broadcast_to(source.reshape(3, 4)[:, ::-1], (2, 3, 4))
    np.testing.assert_array_equal(spaces[Space.L1][64:88].reshape(2, 3, 4), wanted)


@pytest.mark.parametrize("element", (0, 1, 2))
def test_fill(spaces, element):
    before = spaces[Space.L1].copy()
    words = move(DataOp.FILL, element, src_base=L3_END + 1, src_stride=[3] * 5, size=[5, 2, 1, 1, 1], dst_base=32,
                 dst_stride=[8, 64, 0, 0, 0], fill=0xDEADBEEF)
    assert data_engine.run(TINY, words, spaces) == Outcome()
    width = 1 << element
    for row, column in itertools.product(range(2), range(5)):
        address = 32 + 64 * row + 8 * column
        before[address : address + width] = list(0xDEADBEEF.to_bytes(4, "little"))[:width]
    np.testing.assert_array_equal(spaces[Space.L1], before)


def test_pad(spaces):
    """A 5 x 6 window around a 3 x 4 image at address 0: what surrounds it has no addresses."""
    spaces[Space.L3][:12] = np.arange(1, 13)
    words = move(
        DataOp.SLICE, src_base=0, src_stride=[1, 4, 0, 0, 0], size=[6, 5, 1, 1, 1], dst_stride=[1, 6, 0, 0, 0],
        fill=99, offset=[-1, -1, 0, 0, 0], step=[1, 1, 1, 1, 1], extent=[4, 3, 1, 1, 1],
    )
    assert data_engine.run(TINY, words, spaces) == Outcome()
    wanted = np.pad(np.arange(1, 13).reshape(3, 4), 1, constant_values=99)
    np.testing.assert_array_equal(spaces[Space.L1][:30].reshape(5, 6), wanted)


def random_slice(number):
    """A slice with one, two or five hostile dimensions (offsets outside, steps of both signs and zero); the others are plain."""
    rng = np.random.default_rng(number)
    element = int(rng.integers(0, 3))
    extent = rng.integers(1, 7, RANK)
    size, step, offset = np.minimum(extent, rng.integers(1, 5, RANK)), np.ones(RANK, int), np.zeros(RANK, int)
    for d in rng.permutation(RANK)[: (1, 2, 5)[number % 3]]:
        size[d], step[d], offset[d] = rng.integers(1, 8), rng.integers(-3, 4), rng.integers(-4, extent[d] + 5)
    strides = np.array(dense(extent[::-1], 1 << element)[::-1])
    return dict(
        op=DataOp.SLICE, element=element, source=Space.L2, destination=Space.L1, size=size.tolist(), offset=offset.tolist(),
        step=step.tolist(), extent=extent.tolist(), src_base=8192, src_stride=strides.tolist(),
        dst_base=512, dst_stride=dense(size[::-1], 1 << element)[::-1], fill=int(rng.integers(0, 2**32)),
    )


@pytest.mark.parametrize("number", range(150))
def test_random_slices(spaces, number):
    case = random_slice(number)
    wanted = definition(spaces, **case)
    assert data_engine.run(TINY, move(**case), spaces) == Outcome()
    np.testing.assert_array_equal(spaces[Space.L1], wanted)


BAD = {
    "operation 0": (dict(op=0), Status.UNDEFINED_OPCODE, 0),
    "operation 4": (dict(op=4), Status.UNDEFINED_OPCODE, 0),
    "element 3": (dict(element=3), Status.UNSUPPORTED, 0),
    "source space 3": (dict(source=3), Status.UNSUPPORTED, 0),
    "destination space 3": (dict(destination=3), Status.UNSUPPORTED, 0),
    "operation before space": (dict(op=5, source=3), Status.UNDEFINED_OPCODE, 0),
    **{f"size{d} of 0": ({f"size{d}": 0}, Status.SIZE, 0) for d in range(RANK)},
    "size of 65536": (dict(size3=65536), Status.SIZE, 0),
    **{f"extent{d} of 0": ({"op": DataOp.SLICE, f"extent{d}": 0}, Status.SIZE, 0) for d in range(RANK)},
    "step of 32768": (dict(op=DataOp.SLICE, step2=32768), Status.SIZE, 0),
    "step of -32769": (dict(op=DataOp.SLICE, step4=-32769), Status.SIZE, 0),
    "odd source": (dict(element=1, src_base=1), Status.ALIGNMENT, 0),
    "odd source stride of an unused dimension": (dict(element=2, src_stride4=2), Status.ALIGNMENT, 0),
    "odd destination": (dict(element=2, dst_base=2), Status.ALIGNMENT, 0),
    "odd destination stride": (dict(element=1, dst_stride1=5), Status.ALIGNMENT, 0),
    "source beyond": (
        dict(source=Space.L2, src_base=L2_END - 9, size0=5, src_stride0=2, size1=2, src_stride1=1), Status.ADDRESS, L2_END),
    "source below": (dict(src_base=8, size0=3, src_stride0=-5), Status.ADDRESS, 2**32 - 2),
    "source before destination": (dict(src_base=L3_END, dst_base=L1_END), Status.ADDRESS, L3_END),
    "destination beyond": (dict(element=2, dst_base=L1_END - 4, size0=2, dst_stride0=4), Status.ADDRESS, L1_END + 3),
    "fill beyond": (dict(op=DataOp.FILL, dst_base=L1_END), Status.ADDRESS, L1_END),
    "products don't wrap": (dict(size0=65535, src_stride0=1 << 30), Status.ADDRESS, 65534 << 30),
    "slice beyond": (dict(op=DataOp.SLICE, src_base=L3_END - 2, src_stride0=1, size0=4, extent0=3), Status.ADDRESS, L3_END),

    "slice with a negative base": (
        dict(op=DataOp.SLICE, src_base=-8, src_stride0=4, size0=9, offset0=-1, extent0=4), Status.ADDRESS, 4),
    "slice of a source that isn't read": (dict(op=DataOp.SLICE, src_base=1 << 31, extent0=1, offset0=1), Status.ADDRESS, 1 << 31),
    "reserved": (dict(mode={"reserved": 1}), Status.UNSUPPORTED, 0),
    "gather of a copy": (dict(mode={"gather": 1}), Status.UNSUPPORTED, 0),
    "shared dimension of a gather": (dict(op=DataOp.SLICE, mode={"gather": 1, "share4": 1}), Status.UNSUPPORTED, 0),
    "converted fill": (dict(op=DataOp.FILL, mode={"convert": 1}), Status.UNSUPPORTED, 0),
    "format 7": (dict(mode={"convert": 1, "source_format": 7}), Status.UNSUPPORTED, 0),
    "tile that isn't dense": (dict(mode={"tile": 1}, dst_stride0=1, src_stride1=2, size0=2, size1=2), Status.UNSUPPORTED, 0),
    "tile with gaps": (
        dict(op=DataOp.SLICE, mode={"tile": 1}, dst_stride0=1, src_stride1=1, interior23={"count_b": 1}), Status.UNSUPPORTED, 0),
    "offset of 65536": (dict(op=DataOp.SLICE, offset1=65536), Status.SIZE, 0),
    "phase above the gaps": (dict(op=DataOp.SLICE, interior01={"count_b": 3, "phase_b": 4}), Status.SIZE, 0),
    "odd list": (dict(op=DataOp.SLICE, mode={"gather": 1}, index_base=6), Status.ALIGNMENT, 0),
    "list beyond": (
        dict(op=DataOp.SLICE, mode={"gather": 1, "index": Space.L2}, index_base=L2_END - 4, size4=2, dst_stride4=1),
        Status.ADDRESS, L2_END + 3),
    "table beyond": (dict(op=DataOp.SLICE, mode={"gather": 1}, extent4=2**31 - 1, src_stride4=16), Status.ADDRESS, (2**31 - 2) * 16),
    "overlap": (dict(size0=65535, src_stride0=0, dst_stride0=0), Status.SIZE, 0),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_command(spaces, case):
    over, status, address = BAD[case]
    before = {space: memory.copy() for space, memory in spaces.items() if space is not Space.L3}
    assert data_engine.run(TINY, move(**over), spaces) == Outcome(status, address % 2**32)
    assert all((spaces[space] == memory).all() for space, memory in before.items())


@pytest.mark.parametrize("over", [
    dict(step0=32768), dict(extent2=0), dict(op=DataOp.FILL, source=Space.L1, src_base=L1_END, src_stride1=1, element=2),
    dict(op=DataOp.SLICE, src_base=5, extent0=1, offset0=1), dict(op=DataOp.SLICE, step0=-32768, step1=32767),
    dict(size0=4095, src_stride0=0, dst_stride0=1), dict(src_base=L3_END - 1),
    dict(op=DataOp.SLICE, mode={"gather": 1, "index": Space.L3}, step4=1 << 20, offset4=1 << 20,
         interior4={"phase_a": 9}, extent4=2**31 - 1),
])
def test_good_command(spaces, over):
    assert data_engine.run(TINY, move(**over), spaces) == Outcome()


def test_window(spaces):
    window = (0x1000, 0x2000)
    for base, outcome in ((0x1000, Outcome()), (0x1FFF, Outcome()), (0xFFF, Outcome(Status.ADDRESS, 0xFFF)),
                          (0x2000, Outcome(Status.ADDRESS, 0x2000))):
        assert data_engine.run(TINY, move(src_base=base), spaces, window) == outcome
        words = move(DataOp.FILL, destination=Space.L3, dst_base=base)
        assert data_engine.run(TINY, words, spaces, window) == outcome
        assert data_engine.run(TINY, move(source=Space.L2, src_base=base), spaces, window) == Outcome()


def test_window_permissions(spaces):
    window = (0x1000, 0x2000, True, False)
    assert data_engine.run(TINY, move(src_base=0x1000), spaces, window) == Outcome()
    fill = move(DataOp.FILL, destination=Space.L3, dst_base=0x1004)
    assert data_engine.run(TINY, fill, spaces, window) == Outcome(Status.ADDRESS, 0x1004)
    assert data_engine.run(TINY, fill, spaces, (0x1000, 0x2000, False, True)) == Outcome()
    assert data_engine.run(TINY, move(src_base=0x1000), spaces, (0x1000, 0x2000, False, True)) == Outcome(Status.ADDRESS, 0x1000)


def test_gather_with_bad_indices(spaces):
    """Rows that don't exist become fill, the others are picked, and the status names the first bad entry."""
    table = np.arange(20, dtype=np.uint8)
    spaces[Space.L3][:20] = table
    spaces[Space.L2][64:80] = np.array([4, 5, 0, -1], "<i4").view(np.uint8)
    words = move(DataOp.SLICE, mode={"gather": 1, "index": Space.L2}, index_base=64, src_stride=[1, 0, 0, 0, 4], dst_stride=[1, 0, 0, 0, 4],
                 size=[4, 1, 1, 1, 4], extent=[4, 1, 1, 1, 5], fill=7)
    assert data_engine.run(TINY, words, spaces) == Outcome(Status.INDEX, 68)
    assert spaces[Space.L1][:16].tolist() == [16, 17, 18, 19, 7, 7, 7, 7, 0, 1, 2, 3, 7, 7, 7, 7]


def test_the_cluster_has_no_l1(spaces):
    unsupported = Outcome(Status.UNSUPPORTED)
    assert data_engine.run(TINY, move(), spaces, cluster=True) == unsupported
    assert data_engine.run(TINY, move(source=Space.L1, destination=Space.L2), spaces, cluster=True) == unsupported
    assert data_engine.run(TINY, move(destination=Space.L2), spaces, cluster=True) == Outcome()
    assert data_engine.run(TINY, move(DataOp.FILL, source=Space.L1, destination=Space.L2), spaces, cluster=True) == Outcome()
