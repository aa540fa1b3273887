"""The device model's data on both simulators, and its back door. The rules are in test_judges.py."""

import random
import re

import numpy as np
import pytest

from rtl.config import ChipConfig
from rtl.memory.timing import TimingSet
from sim.hbm.backdoor import memory_text, write_flips
from sim.hbm.parameters import DEVICE_SOURCES, RULES, STORAGE_PAGES, HbmDevice, device_parameters, timing_plusargs
from sim.hbm.secded import check_bits

CONFIG = ChipConfig("memory", dram_rows=64)
PAGES = 40


def run(bench, testcase, plusargs=(), **params):
    """One build for all: made for P3200, run by F3200 (the first of two equal plusargs counts)."""
    bench.run(
        HbmDevice(CONFIG, TimingSet.load("P3200"), pages=PAGES), "verif.memory.device_tests",
        params={"config": CONFIG.to_dict(), "timing": "F3200", "pages": PAGES, **params}, testcase=testcase,
        sources=DEVICE_SOURCES, plusargs=[*plusargs, *timing_plusargs(TimingSet.load("F3200"))],
    )


def test_data(bench, tmp_path):
    values = random.Random(bench.seed)
    atoms = {atom: values.randbytes(32) for atom in (0, 1, 77, 64 * 512 - 1)}
    (tmp_path / "contents.0").write_text(memory_text(atoms))
    loaded = {atom: int.from_bytes(data + check_bits(np.frombuffer(data, "<u8")).tobytes(), "little") for atom, data in atoms.items()}
    run(
        bench, "data", [f"+memory={tmp_path / 'contents'}", "+dump=dump", "+dump_first=0", f"+dump_last={64 * 512 - 1}"], loaded=loaded,
    )


def test_exhausted(bench):
    run(bench, ("exhausted", "undefined_commands"))


def test_stored_flips(bench, tmp_path):
    bits = [3, 64, 255, 256, 287]
    plusarg = write_flips(tmp_path / "flips", [(700, 0, bit) for bit in reversed(bits)])
    run(bench, "stored_flips", [plusarg], clock=700, bits=bits)


@pytest.mark.parametrize("bits", (1, 2))
def test_read_flips(bench, bits):
    run(bench, "read_flips", ["+hbm_read_flips=5", f"+hbm_read_flip_bits={bits}", f"+hbm_seed={bench.seed}"], bits=bits, rate=5, reads=300)


def test_impossible_timing(bench):
    run(bench, "impossible_timing", ["+hbm_RL=61"])


def test_rule_names_have_the_codes_of_the_device():
    codes = dict(re.findall(r"\bV_(\w+) = (\d+)", DEVICE_SOURCES[0].read_text()))
    assert {name: str(code) for code, name in enumerate(RULES) if name} == codes


def test_every_timing_value_can_be_set_at_run_time():
    source = DEVICE_SOURCES[0].read_text()
    for plusarg in timing_plusargs(TimingSet.load("P3200")):
        name = re.fullmatch(r"\+hbm_(\w+)=\d+", plusarg)[1]
        assert f'"hbm_{name}=%d"' in source and re.search(rf"parameter {name} = ", source)


def test_pages():
    timing = TimingSet.load("P3200")
    with pytest.raises(ValueError, match="pages must be 1 to 1024, not 1025"):
        device_parameters(CONFIG, timing, pages=1025)
    assert device_parameters(CONFIG, timing)["PAGES"] == 1024
    assert device_parameters(ChipConfig("memory", dram_rows=32768), timing)["PAGES"] == STORAGE_PAGES
