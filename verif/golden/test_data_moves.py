"""Golden data engine, whole commands: random ones against a loop over the definition, and every field out of its range in turn."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.element import Element, convert
from rtl.formats import CONTAINER_BYTES, Format
from rtl.isa import DataOp, Engine, Space, Status
from sim.golden import data_engine
from sim.golden.outcome import Outcome
from verif.golden.kit import TINY, command_words

_SIZE = 4096  # of the memories here: the engine's windows are larger than what the commands reach
_BASE, _TARGET, _LIST = 1024, 256, 64
_WORDS = ("interior01", "interior01", "interior23", "interior23", "interior4")


def element_of(format: Format) -> Element:
    return Element(format.name.lower(), CONTAINER_BYTES[format], format, format in (Format.INT8, Format.INT32))


@st.composite
def moves(draw):
    """Mode, words and list of a valid command whose source and destination lie in different spaces."""
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    op = draw(st.sampled_from([DataOp.COPY, DataOp.FILL, DataOp.SLICE, DataOp.SLICE, DataOp.SLICE]))
    formats = draw(st.none() | st.tuples(st.sampled_from(list(Format)), st.sampled_from(list(Format)))) if op is not DataOp.FILL else None
    mode, words = {"op": op, "source": Space.L3, "destination": Space.L1}, {}
    if formats is None:
        mode["element"] = number(0, 2)
        e_s = e_d = 1 << mode["element"]
    else:
        mode |= {"convert": 1, "element": 3, "source_format": formats[0], "destination_format": formats[1]}
        e_s, e_d = (CONTAINER_BYTES[format] for format in formats)
    gather = op is DataOp.SLICE and number(0, 3) == 0
    shares = {3: number(0, 3), 4: 0 if gather else number(0, 3)} if op is DataOp.SLICE and number(0, 2) == 0 else {3: 0, 4: 0}
    mode |= {"share3": shares[3], "share4": shares[4]} | ({"gather": 1, "index": Space.L2} if gather else {})
    target = e_d
    for d in range(5):
        size = number(1, 3)
        words |= {f"size{d}": size, f"dst_stride{d}": target, f"src_stride{d}": number(-8, 8) * e_s}
        target *= size + (number(0, 1) if target < 200 else 0)
        if op is DataOp.SLICE:
            words |= {f"offset{d}": number(-3, 3), f"step{d}": number(-2, 2), f"extent{d}": number(1, 4)}
            count = number(0, 2) if number(0, 3) == 0 else 0
            words.setdefault(_WORDS[d], {}).update({f"count_{'ab'[d % 2]}": count, f"phase_{'ab'[d % 2]}": number(0, count)})
    entries = [number(-1, 4) for _ in range(words["size4"])]
    return mode, words | {"fill": number(0, 2**32 - 1), "src_base": _BASE, "dst_base": _TARGET, "index_base": _LIST}, entries


def definition(mode, words, entries, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Outcome]:
    """The destination and the outcome, one element after the other."""
    formats = (element_of(mode["source_format"]), element_of(mode["destination_format"])) if mode.get("convert") else None
    e_s, e_d = (each.bytes for each in formats) if formats else (1 << mode["element"],) * 2
    op, result, outcome = mode["op"], target.copy(), Outcome()
    owner = [0, 1, 2, mode["share3"] - 1 if mode["share3"] else 3, mode["share4"] - 1 if mode["share4"] else 4]
    for index in itertools.product(*(range(words[f"size{d}"]) for d in range(5))):
        value, address = None, words["src_base"]
        if op is DataOp.COPY:
            address += sum(i * words[f"src_stride{d}"] for d, i in enumerate(index))
        if op is DataOp.SLICE:
            j = [words[f"offset{k}"] for k in range(5)]
            gap = False
            for d, i in enumerate(index):
                if d == 4 and mode.get("gather"):
                    j[4] = entries[i]
                    continue
                word, half = words[_WORDS[d]], "ab"[d % 2]
                p, c = word[f"phase_{half}"] + i, word[f"count_{half}"] + 1
                gap |= p % c != 0
                j[owner[d]] += p // c * words[f"step{d}"]
            owned = [k for k in range(5) if owner[k] == k]
            address = None if gap or any(not 0 <= j[k] < words[f"extent{k}"] for k in owned) else (
                address + sum(j[k] * words[f"src_stride{k}"] for k in owned))
        if op is DataOp.FILL or address is None:
            value = words["fill"] & (1 << 8 * e_d) - 1
        else:
            value = int.from_bytes(source[address : address + e_s].tobytes(), "little")
            value = convert(value, *formats) if formats else value
        place = words["dst_base"] + sum(i * words[f"dst_stride{d}"] for d, i in enumerate(index))
        result[place : place + e_d] = list(value.to_bytes(4, "little"))[:e_d]
    if mode.get("gather"):
        bad = [n for n, entry in enumerate(entries) if not 0 <= entry < words["extent4"]]
        if bad:
            outcome = Outcome(Status.INDEX, words["index_base"] + 4 * bad[0])
    return result, outcome


@settings(max_examples=300, deadline=None, derandomize=True)
@given(moves(), st.integers(0, 2**32 - 1))
def test_the_definition(move, seed):
    mode, words, entries = move
    rng = np.random.default_rng(seed)
    spaces = {space: rng.integers(0, 256, _SIZE, np.uint8) for space in Space}
    spaces[Space.L2][_LIST : _LIST + 4 * len(entries)] = np.array(entries, "<i4").view(np.uint8)
    wanted, outcome = definition(mode, words, entries, spaces[Space.L3], spaces[Space.L1])
    others = {space: memory.copy() for space, memory in spaces.items() if space is not Space.L1}
    assert data_engine.run(TINY, command_words(Engine.DATA, mode=mode, **words), spaces) == outcome
    np.testing.assert_array_equal(spaces[Space.L1], wanted)
    assert all((spaces[space] == memory).all() for space, memory in others.items())


# Every field out of its range: a good command of each operation, and what one changed word makes of it.

_ONES = {f"{name}{d}": 1 for name in ("size", "step", "extent") for d in range(5)}
_GOOD = {
    "copy": ({"op": DataOp.COPY}, {}), "fill": ({"op": DataOp.FILL}, {}), "slice": ({"op": DataOp.SLICE}, {}),
    "gather": ({"op": DataOp.SLICE, "gather": 1, "index": Space.L2}, {}),
    "windows": ({"op": DataOp.SLICE, "share3": 2, "share4": 3}, {}),
    "tiles": ({"op": DataOp.COPY, "tile": 1}, {"dst_stride0": 2, "src_stride1": 2}),
    "tiles of a slice": ({"op": DataOp.SLICE, "tile": 1}, {"dst_stride0": 2, "src_stride1": 2}),
    "convert": ({"op": DataOp.COPY, "convert": 1, "source_format": Format.BF16, "destination_format": Format.FP16}, {}),
}
_READS, _SLICES = [name for name in _GOOD if name != "fill"], ["slice", "gather", "windows", "tiles of a slice"]
_CHANGES = [
    *((name, {"op": code}, {}, Status.UNDEFINED_OPCODE) for name in _GOOD for code in (0, 4, 15)),
    *((name, {"reserved": 1 << bit}, {}, Status.UNSUPPORTED) for name in _GOOD for bit in range(7)),
    *((name, {field: 3}, {}, Status.UNSUPPORTED) for name in _GOOD for field in ("source", "destination")),
    *((name, {"element": 3}, {}, Status.UNSUPPORTED) for name in _GOOD if name not in ("convert", "tiles", "tiles of a slice")),
    *(("convert", {field: 7}, {}, Status.UNSUPPORTED) for field in ("source_format", "destination_format")),
    ("convert", {"element": 3}, {}, Status.OK),
    ("copy", {"source_format": 7, "index": 3}, {}, Status.OK),
    ("gather", {"index": 3}, {}, Status.UNSUPPORTED), ("slice", {"index": 3}, {}, Status.OK),
    ("gather", {"share4": 1}, {}, Status.UNSUPPORTED), ("gather", {"share3": 1}, {}, Status.OK),
    *((name, {field: 1}, {}, Status.UNSUPPORTED) for name in ("copy", "fill") for field in ("gather", "share3", "share4")),
    *(("fill", {field: 1}, {}, Status.UNSUPPORTED) for field in ("convert", "tile")),
    *((name, {}, {word: 4}, Status.UNSUPPORTED) for name in ("tiles", "tiles of a slice") for word in ("dst_stride0", "src_stride1")),
    *(("tiles of a slice", {}, {word: 2}, Status.UNSUPPORTED) for word in ("step0", "step1")),
    ("tiles of a slice", {}, {"step2": 2}, Status.OK),
    *(("tiles of a slice", {}, {word: {f"count_{half}": 1}}, Status.UNSUPPORTED)
      for word, half in (("interior01", "a"), ("interior01", "b"), ("interior23", "a"), ("interior23", "b"), ("interior4", "a"))),
    *((name, {}, {f"size{d}": size}, Status.SIZE) for name in _GOOD for d in range(5) for size in (0, 65536, 2**32 - 1)),
    *((name, {}, {f"extent{d}": extent}, Status.SIZE) for name in ("slice", "tiles of a slice") for d in range(5) for extent in (0, 65536)),
    *(("windows", {}, {f"extent{d}": extent}, Status.SIZE if d < 3 else Status.OK) for d in range(5) for extent in (0, 65536)),
    *(("gather", {}, {"extent4": extent}, status) for extent, status in (
        (0, Status.SIZE), (2**31, Status.SIZE), (2**31 - 1, Status.OK), (65536, Status.OK))),
    *((name, {}, {f"offset{d}": offset}, Status.SIZE if abs(offset + 0.5) > 65536 else Status.OK)
      for name in ("slice", "tiles of a slice") for d in range(5) for offset in (-65537, -65536, 65535, 65536)),
    *(("windows", {}, {f"offset{d}": 65536}, Status.SIZE if d < 3 else Status.OK) for d in range(5)),
    *(("gather", {}, {f"offset{d}": 65536}, Status.SIZE if d < 4 else Status.OK) for d in range(5)),
    *((name, {}, {f"step{d}": step}, Status.SIZE if d > 1 or name != "tiles of a slice" else Status.UNSUPPORTED)
      for name in ("slice", "windows", "tiles of a slice") for d in range(5) for step in (32768, -32769)),
    *(("gather", {}, {f"step{d}": 32768}, Status.SIZE if d < 4 else Status.OK) for d in range(5)),
    *((name, {}, {word: {f"count_{half}": 3, f"phase_{half}": phase}}, Status.SIZE if phase > 3 else Status.OK)
      for name in ("slice", "windows") for word, half in (("interior01", "a"), ("interior01", "b"), ("interior23", "a"),
                                                          ("interior23", "b"), ("interior4", "a")) for phase in (3, 4)),
    ("gather", {}, {"interior4": {"phase_a": 9}}, Status.OK), ("slice", {}, {"interior4": {"count_b": 1, "phase_b": 9}}, Status.OK),
    *((name, {}, {word: 3}, Status.ALIGNMENT) for name in _GOOD for word in ("dst_base", *(f"dst_stride{d}" for d in range(1, 5)))),
    *((name, {}, {word: 3}, Status.ALIGNMENT) for name in _READS for word in ("src_base", "src_stride0", "src_stride2")),
    *(("fill", {}, {word: 3}, Status.OK) for word in ("src_base", "src_stride0")),
    *(("windows", {}, {f"src_stride{d}": 3}, Status.ALIGNMENT if d < 3 else Status.OK) for d in range(5)),
    ("gather", {}, {"index_base": 2}, Status.ALIGNMENT), ("slice", {}, {"index_base": 2}, Status.OK),
    *((name, {}, {"src_base": 1 << 31}, Status.ADDRESS) for name in _READS), ("fill", {}, {"src_base": 1 << 31}, Status.OK),
    *((name, {}, {"dst_base": TINY.l1_bytes}, Status.ADDRESS) for name in _GOOD),
    ("gather", {}, {"index_base": TINY.l2_bytes}, Status.ADDRESS), ("slice", {}, {"index_base": TINY.l2_bytes}, Status.OK),
    *((name, {}, {"size3": 2, "src_stride3": 0, "dst_stride3": 0}, Status.SIZE) for name in _GOOD),
    # Of two broken rules the earlier one counts.
    ("slice", {"reserved": 1}, {"size0": 0}, Status.UNSUPPORTED), ("slice", {"op": 0, "reserved": 1}, {}, Status.UNDEFINED_OPCODE),
    ("slice", {}, {"size0": 0, "dst_base": 3}, Status.SIZE), ("slice", {}, {"dst_base": 3, "src_base": 1 << 31}, Status.ALIGNMENT),
    ("copy", {}, {"size3": 2, "src_base": 1 << 31}, Status.ADDRESS),
]


def memories() -> dict[Space, np.ndarray]:
    """L1 and L2 are zero, L3 holds a number that is one in every format."""
    sizes = {Space.L1: (TINY.l1_bytes, 0), Space.L2: (TINY.l2_bytes, 0), Space.L3: (_SIZE, 63)}
    return {space: np.full(size, value, np.uint8) for space, (size, value) in sizes.items()}


def test_every_field_out_of_its_range():
    """A refused command changes nothing."""
    spaces = memories()
    for name, mode, words, status in _CHANGES:
        good_mode, good_words = _GOOD[name]
        merged = {"element": 1, "source": Space.L3, "destination": Space.L1} | good_mode | mode
        command = command_words(Engine.DATA, mode=merged, **(_ONES | {"fill": 0xFFFF} | good_words | words))
        spaces[Space.L1][:4] = 0
        outcome = data_engine.run(TINY, command, spaces)
        assert outcome.status is status, f"{name} with {mode} {words}: {outcome.status.name}, not {status.name}"
        assert spaces[Space.L1][:4].any() == (status is Status.OK)


@pytest.mark.parametrize("name", _GOOD)
def test_the_good_commands(name):
    mode, words = _GOOD[name]
    spaces = memories()
    command = command_words(Engine.DATA, mode={"element": 1, "source": Space.L3, "destination": Space.L1} | mode, **(_ONES | words))
    assert data_engine.run(TINY, command, spaces) == Outcome()
