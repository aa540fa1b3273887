"""The device model on both simulators."""

import random

from rtl.config import ChipConfig
from rtl.memory.timing import TimingSet
from sim.hbm.parameters import DEVICE, HbmDevice


def test_device(bench, tmp_path):
    """F3200, since every rule can bind there."""
    config = ChipConfig("memory", dram_rows=64, dram_timing="F3200")
    values = random.Random(bench.seed)
    loaded = {atom: values.getrandbits(256) for atom in (0, 1, 77, 64 * 512 - 1)}
    image = tmp_path / "contents.hex"
    image.with_suffix(".hex.0").write_text("".join(f"@{atom:x}\n{value:064x}\n" for atom, value in loaded.items()))
    bench.run(
        HbmDevice(config, TimingSet.load("F3200")), "verif.memory.device_tests", params={"config": config.to_dict(), "loaded": loaded},
        sources=[DEVICE], plusargs=[f"+memory={image}"],
    )
