"""The back door of a running model, the model's start and speed, and a checker that reads along while it runs."""

import os
import threading
import time
from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from rtl.memory.address import AddressMap
from rtl.memory.timing import TimingSet
from sim.hbm.backdoor import BackDoor, memory_text, write_flips
from sim.hbm.checker import check
from sim.hbm.parameters import timing_plusargs
from sim.hbm.secded import check_bits
from sim.native.harness import Harness
from verif.memory.busy import busy_period
from verif.memory.cases import Command
from verif.memory.player import PAGES, ROWS, back_door, library, loop

KIB, MIB = 1024, 1024 * 1024
SIZE = 16 * KIB * ROWS
TIMING = TimingSet.load("F3200")


@pytest.fixture
def native(simulator):
    if simulator != "verilator":
        pytest.skip("on Icarus files are the back door: test_device.py")


def seconds(work: Callable) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def fake(pages: int = 4, stored: int = 3) -> BackDoor:
    """Of a model that doesn't run, with noise where it has stored nothing."""
    noise = np.full((32 * pages, 32), 0xA5, np.uint8)
    variables = {"page": np.zeros((pages, 4), np.uint8), "pages_used": np.zeros((1, 4), np.uint8), "mem": noise[: 32 * stored],
                 "check": noise[: 32 * stored, :4].copy()}
    return BackDoor(variables.__getitem__)


def test_store_and_load(seed):
    random = Random(seed)
    door, model = fake(), bytearray(4 * KIB)
    for _ in range(200):
        address = random.randrange(3 * KIB)
        data = random.randbytes(random.choice((0, 1, 7, 8, 100, 2000)))[: 3 * KIB - address]
        door.store(address, data)
        model[address : address + len(data)] = data
        first = random.randrange(4 * KIB)
        size = random.randrange(4 * KIB - first)
        assert door.load(first, size) == model[first : first + size]
    assert door.damaged(0, 4 * KIB) == []


def test_flip_and_damaged():
    door = fake()
    door.store(1000, bytes(range(100)))
    door.flip(31, 70)  # byte 1000, a data bit
    door.flip(33, 256 + 8 * 2)  # a check bit of the word at 1072
    door.flip(90, 0)  # nothing is stored there yet: a zero word
    assert door.damaged(0, 4 * KIB) == [1000, 1072, 2880]
    assert door.damaged(1007, 66) == [1000, 1072] and door.damaged(1008, 64) == [] and door.damaged(1008, 0) == []
    assert door.load(1000, 1) == bytes([64])
    door.store(1007, b"x")  # what is stored into a word makes its check bits valid
    assert door.damaged(0, 2 * KIB) == [1072]
    for bit in (-1, 288):
        with pytest.raises(ValueError, match=f"bit {bit} is not one of the 288 of an atom"):
            door.flip(0, bit)


def test_refused():
    door = fake()
    for address, size in ((4 * KIB - 1, 2), (-1, 1)):
        with pytest.raises(ValueError, match="lie outside the 4096 byte of the channel"):
            door.store(address, bytes(size))
        with pytest.raises(ValueError, match="lie outside the 4096 byte of the channel"):
            door.load(address, size)
    with pytest.raises(ValueError, match="the device stores 3 KiB, and they are used up"):
        door.store(0, bytes(4 * KIB))
    assert door.load(0, KIB) == bytes(KIB)


def test_files(tmp_path):
    assert memory_text({}) == ""
    assert memory_text({10: bytes(31) + b"\x80", 2: bytes(32)}) == f"@2 {'0' * 72}\n@a 8f{'0' * 6}80{'0' * 62}\n"
    assert write_flips(tmp_path / "flips", [(7, 5, 287), (3, 9, 0)], channel=2) == f"+hbm_flips={tmp_path / 'flips'}"
    assert (tmp_path / "flips.2").read_text() == "3 9 0\n7 5 287\n"
    with pytest.raises(ValueError, match="bit 288 is not one of the 288"):
        write_flips(tmp_path / "flips", [(7, 5, 288)])


def test_device_shares_the_contents(native, seed):
    """What the back door stores is read by commands, and what they write is loaded by it."""
    random = Random(seed)
    plain = AddressMap(ROWS, (0, 0, 0, 0))
    bank, row = random.randrange(16), random.randrange(ROWS)
    written, read = random.sample(range(32), 8), range(32)
    gap = TIMING.write_end + TIMING.tWR + TIMING.tWTR_L + TIMING.read_to_write
    begin = 10 + TIMING.tRC
    commands = [Command(10, "ACT", bank, row)]
    commands += [Command(begin + gap * number, "WR", bank, row, column) for number, column in enumerate(written)]
    commands += [Command(begin + gap * (8 + number), "RD", bank, row, column) for number, column in enumerate(read)]
    with Harness(library(), timing_plusargs(TIMING)) as harness:
        door = back_door(harness)
        contents = {column: random.randbytes(32) for column in range(32)}
        for column, data in contents.items():
            door.store(32 * plain.atom(bank, row, column), data)
        loop(harness, commands, begin + gap * 50)
        harness.run(100_000)
        assert harness.done and harness.status()["violations"] == 0
        found = 0
        for column, data in contents.items():
            check = check_bits(np.frombuffer(data, "<u8")).tobytes()
            if column in written:
                word = (commands[1 + written.index(column)].time + TIMING.WL) * 0x9E3779B9 & 0xFFFFFFFF
                check = word.to_bytes(4, "little")
                data = 8 * check
            found ^= int(np.bitwise_xor.reduce(np.frombuffer(data + check, "<u4")))
            assert door.load(32 * plain.atom(bank, row, column), 32) == data
        assert harness.status()["refused"] == found
        # The bench's check bits are not those of its data.
        assert len(door.damaged(0, SIZE)) >= len(written)


def test_megabytes(native, seed):
    """16 MiB in and out; and all that the device stores, at the end of a channel that is larger."""
    data = np.random.default_rng(seed).integers(0, 256, 16 * MIB, np.uint8)
    with Harness(library()) as harness:
        door = back_door(harness)
        store = seconds(lambda: door.store(12345, data))
        load = seconds(lambda: door.load(12345, len(data)))
        print(f"\n16 MiB: stored in {store:.3f} s, loaded in {load:.3f} s")
        assert door.load(12345, len(data)) == data.tobytes()
        assert door.damaged(0, 17 * MIB) == []
        assert store < 1 and load < 1
        left = PAGES["verilator"] - 16 * KIB - 1
        door.store(SIZE - left * KIB, bytes(left * KIB))
        with pytest.raises(ValueError, match="used up"):
            door.store(SIZE // 2, b"x")


def test_start(native):
    """A device of 16,384 rows starts in well under a second."""
    library()
    taken = seconds(lambda: Harness(library()).close())
    print(f"\nstarted in {taken:.3f} s")
    assert taken < 1


@pytest.mark.parametrize("name", TimingSet.names())
def test_speed(native, name):
    """Ten million clocks, as busy as the rules allow, all of them checked."""
    timing = TimingSet.load(name)
    loops = 10_000_000 // timing.tREFI
    with Harness(library(), [*timing_plusargs(timing), f"+loops={loops}"]) as harness:
        commands = busy_period(timing)
        loop(harness, commands, timing.tREFI)
        taken = seconds(lambda: harness.run(20_000_000))
        assert harness.done and harness.status()["violations"] == 0
    clocks = loops * timing.tREFI
    print(f"\n{name}: {clocks / taken:,.0f} clocks a second, {loops * len(commands) / taken:,.0f} commands a second")
    assert clocks / taken > 300_000


def test_checker_reads_along(native, tmp_path):
    """The trace goes through a pipe to a checker that judges it while the simulation runs."""
    pipe, timing, loops = tmp_path / "commands", TimingSet.load("P3200"), 20
    os.mkfifo(pipe)
    reports = []
    reader = threading.Thread(target=lambda: reports.append(check(pipe, timing, rows=ROWS)))
    reader.start()
    commands = busy_period(timing)
    with Harness(library(), [f"+hbm_trace={pipe}", f"+loops={loops}"]) as harness:
        loop(harness, commands, timing.tREFI)
        harness.run(1_000_000)
    reader.join(60)
    (report,) = reports
    assert report.ok and sum(report.commands.values()) == loops * len(commands)
