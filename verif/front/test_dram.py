"""`gcu dram`: files in, figures and commands out, refusals by line; `gcu bench --only dram`: traces, rows, idle latency."""

import dataclasses
import json
import sys
import tomllib
from io import BytesIO, TextIOWrapper

import numpy as np
import pytest

from gcu import dram as command
from gcu.bench import BARS
from gcu.dram_bench import DramBench
from gcu.dram_picture import bank_states
from gcu.errors import BadInput
from gcu.request_file import read_requests, write_requests
from rtl.config import ChipConfig
from rtl.memory.timing import TimingSet
from sim.dram.commands import Command, read_commands
from sim.dram.patterns import PATTERNS
from sim.dram.requests import Requests
from sim.hbm.checker import check
from verif.front.kit import gcu

FULL = 512 << 20
#: A stream in both directions, and its reads.
MIXED = PATTERNS["seq_1to1"].make(3000, FULL, 1)
READS = 3000 - int(MIXED.write.sum())
P3200 = TimingSet.load("P3200")


def parse(text: str | bytes, memory: int = FULL) -> Requests:
    return read_requests(BytesIO(text if isinstance(text, bytes) else text.encode()), "--trace t.txt", memory)


def test_requests():
    """Either case of hexadecimal, blanks, line ends of two kinds, none at the end."""
    requests = parse("R 0x0\nW 0x1FFFFFE0\r\n  R\t0x00000040 \nW 0xab20")
    assert requests.write.tolist() == [False, True, False, True]
    assert requests.atom.tolist() == [0, FULL // 32 - 1, 2, 0xAB20 // 32]


def test_requests_written_and_read(tmp_path):
    requests = PATTERNS["random_64_1to1"].make(200_001, FULL, 1)
    write_requests(tmp_path / "t.txt", requests)
    with (tmp_path / "t.txt").open("rb") as stream:
        again = read_requests(stream, "t", FULL)
    assert (again.write == requests.write).all() and (again.atom == requests.atom).all()


@pytest.mark.parametrize(("text", "message"), [
    ("", "it holds no requests; 'R 0xADDRESS' or 'W 0xADDRESS' is needed, one a line"),
    ("R 0x0\nX 0x20\n", "line 2: 'X 0x20' is not 'R 0xADDRESS' or 'W 0xADDRESS'"),
    ("R 0x0\n\nR 0x20\n", "line 2: '' is not"),
    ("R 20\n", "line 1: 'R 20' is not"),
    ("R 0x20 0x40\n", "line 1: 'R 0x20 0x40' is not"),
    ("R 0x0\nR 0x2g", "line 2: 'R 0x2g' is not"),
    (b"R 0x0\nR \xff\n", "line 2: 'R \\xff' is not"),
    ("r 0x0\n", "line 1: 'r 0x0' is not"),
    ("R 0x0\nW 0x21\n", "line 2: address 0x21 is not a multiple of 32: an access is 32 aligned bytes"),
    ("W 0x1fffffe0\nR 0x20000000\n", "line 2: address 0x20000000 is beyond the memory's 536,870,912 bytes (0x0 to 0x1fffffff)"),
    ("R 0xffffffffffffffe0\n", "line 1: address 0xffffffffffffffe0 is beyond"),
    ("R 0x0\n" * 700_000 + "R 0x3\n", "line 700001: address 0x3 is not"),
    ("R 0x" + "0" * 9000, "line 1: longer than 4096 characters"),
])
def test_bad_requests(text, message):
    """cp_file: every bad line."""
    with pytest.raises(BadInput) as error:
        parse(text)
    assert message in str(error.value) and str(error.value).startswith("--trace t.txt")


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "t.txt"
    write_requests(path, MIXED)
    return path


def refused(answer, *words):
    assert answer.status == 2 and not answer.out and len(answer.err.strip().splitlines()) == 1
    assert all(word in answer.err for word in words), answer.err


def timing_file(path, **changes):
    values = {key: getattr(P3200, key) for key in TimingSet.parameters()} | changes
    path.write_text('name = "mine"\ntCK = 0.625\n[nCK]\n' + "".join(f"{key} = {value}\n" for key, value in values.items()))
    return path


@pytest.mark.parametrize(("changes", "message"), [
    (dict(tRC=77), "timing set mine: tRC = 77 is less than tRAS + tRP = 78"),
    (dict(tRAS=22, tRCDWR=2), "timing set mine: tRAS = 22 is less than tRCDRD = 23"),
    (dict(tRP=0), "[nCK] tRP = 0 is not a positive number of clocks"),
    (dict(tFAW=2.5), "[nCK] tFAW = 2.5 is not a positive number of clocks"),
    (dict(tXP=4), "[nCK] tXP is not a timing parameter"),
])
def test_bad_timing(tmp_path, trace, changes, message):
    refused(gcu("dram", "--trace", trace, "--timing", timing_file(tmp_path / "mine.toml", **changes)), "--timing", message)


def test_refusals(tmp_path, trace):
    refused(gcu("dram", "--trace", tmp_path / "none.txt"), "none.txt", "No such file")
    refused(gcu("dram", "--trace", tmp_path), "Is a directory")
    refused(gcu("dram", "--trace", trace, "--timing", "P6400"), "'P6400' is not one of D3200, F3200, P3200")
    refused(gcu("dram", "--trace", trace, "--timing", tmp_path / "none.toml"), "No such file")
    refused(gcu("dram", "--trace", trace, "--clocks", 0), "--clocks: 0 is not positive")
    refused(gcu("dram", "--trace", trace, "--stall", 1), "--stall: 1.0 is not a share from 0 to 0.95")
    refused(gcu("dram", "--trace", trace, "--outstanding", 0), "--outstanding: 0 is not positive")
    refused(gcu("dram", "--trace", trace, "--ids", 65), "--ids: 65 is not 1 to 64")
    refused(gcu("dram", "--trace", trace, "--from", 10), "one is given without the other")
    refused(gcu("dram", "--trace", trace, "--from", 10, "--to", 10, "--png", tmp_path / "a.png"), "10 to 10 is no range")
    refused(gcu("dram", "--trace", trace, "--commands", tmp_path / "no" / "c.txt"), "there is no folder")
    (tmp_path / "far.txt").write_text("R 0x2000000\n")
    refused(gcu("dram", "--trace", tmp_path / "far.txt", "--config", "small"), "line 1", "beyond the memory's 33,554,432 bytes")


def test_run(tmp_path, trace):
    """The whole trace on the RTL; the commands are those that the figures speak of, and the checker's command line takes them."""
    commands, picture = tmp_path / "c.txt", tmp_path / "p.png"
    answer = gcu("dram", "--trace", trace, "--commands", commands, "--png", picture, "--json", "-")
    assert answer.status == 0, answer.err
    report = answer.json
    assert (report["timing"], report["violations"], report["errors"]["mismatches"]) == ("P3200", 0, 0)
    assert report["requests"] == report["offered"] == 3000 and (report["reads"], report["writes"]) == (READS, 3000 - READS)
    assert report["percent_of_peak"] == pytest.approx(100 * 32 * 3000 / 16 / report["cycles"], abs=1e-3)
    seen = list(read_commands(commands))
    count = {name: sum(each.name == name for each in seen) for name in ("RD", "WR", "ACT", "REFSB")}
    assert count["RD"] == READS and count == {name: report["commands"][name] for name in count}
    latency = report["read_latency"]
    assert P3200.RL < latency["p50"] <= latency["p99"] <= latency["max"] < report["cycles"]
    assert report["first_beat_latency"]["mean"] < latency["mean"]
    assert sum(report["data_bus"].values()) == pytest.approx(report["memory_clocks"], abs=16) and report["clocks_per_second"] > 0
    bus = report["data_bus"]
    assert bus["read"] == pytest.approx(2 * READS, abs=8) and bus["write"] == pytest.approx(2 * (3000 - READS), abs=64)
    assert check(commands, P3200).ok and picture.read_bytes().startswith(b"\x89PNG")


def test_window(trace, tmp_path):
    """A limited run measures so many clocks of the trace; the same seed gives the same, and what people read goes to standard error."""
    reports = [gcu("dram", "--trace", trace, "--clocks", 700, "--stall", 0.3, "--seed", seed, "--json", "-").json for seed in (4, 4, 5)]
    for report in reports:
        assert report["cycles"] == 700 and report["offered"] < 3000 and report["violations"] == 0 and not report["stuck"]
        for key in ("seconds", "clocks_per_second", "seed"):
            report.pop(key)
    assert reports[0] == reports[1] != reports[2]


def test_refresh_of_all_banks(trace):
    """The other kind of refresh, for long enough to see some: idle reads, one at a time."""
    slowly = ("dram", "--trace", trace, "--outstanding", 1, "--json", "-")
    answers = [gcu(*slowly, "--refresh", kind).json for kind in ("per-bank", "all-bank")]
    by_bank, together = (answer["commands"] for answer in answers)
    assert by_bank.get("REFSB", 0) > 16 and not by_bank.get("REFAB", 0)
    assert together.get("REFAB", 0) > 1 and not together.get("REFSB", 0)
    assert all(answer["violations"] == 0 for answer in answers)


@pytest.mark.parametrize("name", ("D3200", "F3200"))
def test_timing_sets(trace, name):
    """Another set in the same build: registers and plusargs carry it."""
    report = gcu("dram", "--trace", trace, "--timing", name, "--json", "-").json
    assert (report["timing"], report["violations"], report["reads"]) == (name, 0, READS)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"W 0x40\nR 0x40\nR 0x60\n")))
    answer = gcu("dram", "--trace", "-", "--outstanding", 1)
    assert answer.status == 0, answer.err
    assert "standard input: 3 of 3 requests" in answer.out and "0 violations" in answer.out


def test_broken_rule(monkeypatch, trace):
    """cp_front: a controller that works by another set than its checker judges by: exit status 1 and the rule's name."""
    real = command.check
    slow = dataclasses.replace(P3200, tCCD_S=3)
    monkeypatch.setattr(command, "check", lambda lines, timing, **more: real(lines, slow, **more))
    answer = gcu("dram", "--trace", trace)
    assert answer.status == 1 and "broken DRAM rules; first: tCCD_S" in answer.err


def test_wrong_byte(monkeypatch, trace):
    """A difference that the driver finds ends with 1, and its place."""
    real = command.simulate

    def wrong(*arguments, **options):
        found = real(*arguments, **options)
        found.errors["mismatches"], found.log[:] = 2, ["request 7, read of 0xc0, returned bytes that nobody wrote, 00 ..."]
        return found

    monkeypatch.setattr(command, "simulate", wrong)
    answer = gcu("dram", "--trace", trace)
    assert answer.status == 1 and "2 mismatches; first: request 7, read of 0xc0" in answer.err


def test_commands(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("0 MRS - 0 23 -\n4 ACT 3 2 77 -\n30 RD 3 2 - 9\n60 PREA - - - -\n90 REFSB 1 0 - -\n")
    commands = list(read_commands(path))
    assert commands[1] == Command(4, "ACT", 11, 77, -1) and commands[2] == Command(30, "RD", 11, -1, 9)
    assert [each.time for each in read_commands(path, 60)] == [0, 4, 30]
    assert bank_states(commands, P3200) == [
        (11, "opening", 4, 25, 77), (11, "open", 25, 60, 77), (11, "closing", 60, 83, 77), (1, "refresh", 90, 346, -1),
    ]


def test_bench_traces(tmp_path):
    """`--traces` writes a file for each pattern, which `gcu dram` reads; nothing is measured."""
    answer = gcu("bench", "--only", "dram", "--traces", tmp_path / "traces")
    assert answer.status == 0 and "11 patterns" in answer.out
    files = sorted(path.name for path in (tmp_path / "traces").iterdir())
    assert files == sorted(f"{name}.txt" for name in PATTERNS)
    lines = (tmp_path / "traces" / "copy_offset.txt").read_text().splitlines()
    assert lines[:4] == ["R 0x00000000", "R 0x00000020", "W 0x10000000", "W 0x10000020"] and len(lines) >= 76_000
    refused(gcu("bench", "--only", "gemm", "--traces", tmp_path / "other"), "--traces: belongs to dram")


def test_bench_rows(tmp_path):
    """A line of the table, its figure and its bar, in few clocks; what an idle read takes."""
    bars = tomllib.loads(BARS.read_text())["dram"]
    assert {bar["name"] for bar in bars["pattern"]} == set(PATTERNS)
    bars |= {"clocks": 3000, "requests": 2000, "idle_reads": 300, "pattern": [bar for bar in bars["pattern"] if bar["name"] == "random_64"]}
    bench = DramBench(bars, ChipConfig.load("small"))
    (row,) = bench.rows()
    data = row.data()
    assert 5 < data["percent_of_peak"] < data["bound"] == 55.24 and data["violations"] == 0 and data["ramulator"] == 46.9
    json.dumps(data)
    met = bench.latency()
    assert met["open row"] < met["closed bank"] < met["conflict"]
    assert met["open row"] > P3200.RL and met["closed bank"] - met["open row"] == pytest.approx(P3200.tRCDRD, abs=4)
    assert np.isfinite(list(met.values())).all()
