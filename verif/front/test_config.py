"""Configurations from files: whatever the TOML holds, it gives a configuration that can name itself, or a ConfigError."""

import dataclasses
import json
import random
from pathlib import Path

import pytest

from rtl.config import PRESETS, ChipConfig, ConfigError

#: Right and wrong values of every type that TOML has.
VALUES = [
    "0", "-1", "1", "2", "3", "7", "8", "64", "65536", "1000000", str(2**40), str(2**70), "1.5", "nan", "inf", "true", "false",
    '""', '"tiny"', '"FP32"', "[]", "[1, 2]", '["FP32"]', '["FP32", "FP32"]', "[[1]]", "[1, [2]]", "{}", "{a = 1}", "1979-05-27",
    "[5, 8]", "[true, 1]",
]


def _toml(config: ChipConfig) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in config.to_dict().items()]


def _mutated(rng: random.Random) -> bytes:
    """A preset as text, with up to three changed values, keys, lines or bytes."""
    lines = _toml(PRESETS[rng.choice(list(PRESETS))])
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(lines))
        key = lines[place].partition(" = ")[0]
        match rng.randrange(6):
            case 0 | 1 | 2:
                lines[place] = f"{key} = {rng.choice(VALUES)}"
            case 3:
                lines.append(f"{rng.choice(['base', 'extra', key])} = {rng.choice(VALUES)}")
            case 4:
                del lines[place]
            case 5:
                lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
    raw = bytearray("\n".join(lines).encode())
    if rng.random() < 0.3:
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(raw)


def _load(path: Path) -> bool:
    """Whether the file gives a configuration; anything but ConfigError goes through."""
    try:
        config = ChipConfig.load(str(path))
    except ConfigError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return False
    assert config.fingerprint and config.build_hash and config.l3_bytes
    assert ChipConfig.from_dict(config.to_dict()) == config
    return True


def test_mutated_files(tmp_path, seed):
    rng = random.Random(seed)
    path = tmp_path / "mutated.toml"
    good = 0
    for _ in range(300):
        path.write_bytes(_mutated(rng))
        good += _load(path)
    assert 5 < good < 200, "the mutations must give both kinds"


def test_every_value_in_every_field(tmp_path):
    path = tmp_path / "field.toml"
    for field in dataclasses.fields(ChipConfig):
        for value in VALUES:
            path.write_text(f'base = "tiny"\n{field.name} = {value}\n')
            _load(path)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_the_file(name, tmp_path):
    path = tmp_path / "copy.toml"
    path.write_text("\n".join(_toml(PRESETS[name])))
    assert ChipConfig.load(str(path)) == PRESETS[name]
