"""The one configuration object of the chip: frozen, validated, with named presets.

The same `ChipConfig` generates the RTL, configures the golden model, drives the compiler and labels the waveforms.
Derived widths are properties, each with the reason for its value.
"""

import dataclasses
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from rtl.formats import CONTAINER_BYTES, Format, lanes_of

__all__ = ["ISA_VERSION", "PRESETS", "ChipConfig", "ConfigError"]

#: Version of the instruction set and of the image format; a program of another version is refused.
ISA_VERSION = 2

KIB = 1024
MIB = 1024 * KIB


class ConfigError(ValueError):
    """A configuration that can't work. The message names the field, what is wrong and what would do."""


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True)
class ChipConfig:
    """Every parameter of the chip. Sizes are in bytes, depths in entries, times in clock cycles unless a name says otherwise.

    Raises :class:`ConfigError` on a value that can't work.
    """

    name: str = "custom"
    #: Compute cores ("SIPs") of the cluster.
    sips: int = 1
    #: Rows of PEs, chained along K.
    pe_rows: int = 1
    #: Columns of PEs, along N.
    pe_columns: int = 16
    #: Operand formats of the tensor core, by name.
    formats: tuple[str, ...] = ("FP32", "TF32", "FP16", "BF16", "INT8")
    #: INT8 products per PE and cycle: 8, or 4 as in the predecessor.
    int8_lanes: int = 8
    #: Alignment width F of the four-product sum; it changes bits.
    align: int = 40
    #: Rows of each of the two accumulator banks; one row holds `pe_columns` 32-bit values.
    accumulator_rows: int = 256
    #: FP32 / INT32 lanes of the vector engine.
    vector_lanes: int = 8
    #: L1 scratchpad per SIP: its size, and its banks of `l1_bank_bytes` each.
    l1_bytes: int = 256 * KIB
    l1_banks: int = 16
    l1_bank_bytes: int = 8
    #: Shared L2 scratchpad; its slave ports on the fabric interleave by 256 byte.
    l2_bytes: int = 512 * KIB
    l2_ports: int = 1
    #: Width of the AXI4 fabric.
    bus_bytes: int = 16
    #: HBM pseudo-channels, and the DRAM rows of each bank (16 banks of 1 KiB pages, so 16 KiB a row).
    channels: int = 1
    dram_rows: int = 2048
    #: DRAM timing set: a name of `rtl/memory/timing_sets/` or a TOML file.
    dram_timing: str = "P3200"
    #: SECDED on each 64-bit word of the memory.
    ecc: bool = True
    #: Requests that a memory controller holds: reads for each bank, reads of any bank behind them, writes; and atoms that may be on their
    #: way back to one of its ports.
    read_queue: int = 8
    read_staging: int = 32
    write_pool: int = 32
    return_slots: int = 256
    #: The memory side steps on `memory_clock[0]` of `memory_clock[1]` clocks.
    memory_clock: tuple[int, int] = (1, 1)
    #: Isolation domains with their own address window.
    partitions: int = 4
    #: Commands that wait in front of each engine.
    queue_depth: int = 4
    #: Jobs that wait in front of the cluster.
    job_queue_depth: int = 4
    #: Instructions held near a sequencer; a loop whose body fits runs without fetching.
    instruction_buffer: int = 256
    #: AXI bursts that one master may have in flight: rows of a few bytes take one each, and the time to L3 and back is some 140 cycles.
    outstanding: int = 64

    # Not a field: limits that the encoding of `rtl/isa.py` sets.
    EVENTS = 16
    REGISTERS = 32
    LOOP_DEPTH = 8
    MAX_SIPS = 24
    MAX_CHANNELS = 8

    def __post_init__(self):
        object.__setattr__(self, "formats", tuple(self.formats))
        object.__setattr__(self, "memory_clock", tuple(self.memory_clock))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int or field.type == "int":
                if isinstance(value, bool) or not isinstance(value, int):
                    raise ConfigError(f"{field.name}: {value!r} is not an integer")
                if value < 1:
                    raise ConfigError(f"{field.name}: {value} is not positive; the least is 1")
        if not isinstance(self.ecc, bool):
            raise ConfigError(f"ecc: {self.ecc!r} is not true or false")
        for name in ("name", "dram_timing"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ConfigError(f"{name}: {getattr(self, name)!r} is not a name")
        # It names folders and files.
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.name):
            raise ConfigError(f"name: {self.name!r} is not made of letters, digits, '_', '-' and '.'")
        self._check_compute()
        self._check_memory()

    def _check_compute(self):
        if self.sips > self.MAX_SIPS:
            raise ConfigError(f"sips: {self.sips} is more than the {self.MAX_SIPS} that an event can name")
        if self.pe_rows > 4:
            raise ConfigError(f"pe_rows: {self.pe_rows} makes a chain longer than 4 PEs; add columns instead")
        if self.pe_columns % 4 or self.pe_columns > 64:
            raise ConfigError(f"pe_columns: {self.pe_columns} is not a multiple of 4 up to 64")
        operands = [f.name for f in (Format.FP32, Format.TF32, Format.FP16, Format.BF16, Format.INT8)]
        for name in self.formats:
            if name not in operands:
                raise ConfigError(f"formats: {name!r} is not one of {', '.join(operands)}")
        if len(set(self.formats)) != len(self.formats) or not self.formats:
            raise ConfigError(f"formats: {list(self.formats)} must name each format once, and at least one")
        if self.int8_lanes not in (4, 8):
            raise ConfigError(f"int8_lanes: {self.int8_lanes} is not 4 or 8")
        if not 23 <= self.align <= 48:
            raise ConfigError(f"align: {self.align} is not in 23 to 48")
        if not _power_of_two(self.accumulator_rows) or self.accumulator_rows < 16:
            raise ConfigError(f"accumulator_rows: {self.accumulator_rows} is not a power of two from 16 up")
        if self.vector_lanes not in (2, 4, 8, 16, 32) or self.pe_columns % self.vector_lanes:
            raise ConfigError(f"vector_lanes: {self.vector_lanes} is not 2, 4, 8, 16 or 32 and a divisor of pe_columns")
        for name, least, most in (
            ("queue_depth", 2, 16), ("job_queue_depth", 1, 16), ("outstanding", 1, 64), ("accumulator_rows", 16, 4096),
            ("instruction_buffer", 32, 65536), ("l1_bytes", 1024, 64 * MIB), ("l2_bytes", 1024, 1024 * MIB), ("l2_ports", 1, 16),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name}: {getattr(self, name)} is not in {least} to {most}")
        if not _power_of_two(self.instruction_buffer) or self.instruction_buffer < 32:
            raise ConfigError(f"instruction_buffer: {self.instruction_buffer} is not a power of two from 32 up")

    def _check_memory(self):
        for name, least in (("l1_banks", 2), ("l1_bank_bytes", 4), ("l2_ports", 1), ("bus_bytes", 8), ("channels", 1),
                            ("dram_rows", 16), ("partitions", 1), ("l1_bytes", 1024), ("l2_bytes", 1024)):
            value = getattr(self, name)
            if not _power_of_two(value) or value < least:
                below = max(least, 1 << max(value.bit_length() - 1, 0))
                raise ConfigError(f"{name}: {value} is not a power of two from {least} up; {below} or {2 * below} would do")
        if self.l1_bank_bytes > 16:
            raise ConfigError(f"l1_bank_bytes: {self.l1_bank_bytes} is more than 16")
        if self.bus_bytes not in (8, 16, 32):
            raise ConfigError(f"bus_bytes: {self.bus_bytes} is not 8, 16 or 32")
        if self.channels > self.MAX_CHANNELS:
            raise ConfigError(f"channels: {self.channels} is more than {self.MAX_CHANNELS}, the most that 32-bit addresses reach")
        if self.dram_rows > 32768:
            raise ConfigError(f"dram_rows: {self.dram_rows} is more than the 32768 of a pseudo-channel")
        for name, least, most in (("read_queue", 2, 16), ("read_staging", 4, 64), ("write_pool", 8, 64), ("return_slots", 16, 256)):
            value = getattr(self, name)
            if not _power_of_two(value) or not least <= value <= most:
                raise ConfigError(f"{name}: {value} is not a power of two from {least} to {most}")
        if self.partitions > 8:
            raise ConfigError(f"partitions: {self.partitions} is more than 8")
        line = self.l1_banks * self.l1_bank_bytes
        widest = max(self.a_bytes, self.b_bytes, self.c_bytes, self.vector_bytes, self.bus_bytes)
        # An unaligned access of w bytes touches w / bank + 1 banks, and all of them must differ.
        if widest + self.l1_bank_bytes > line:
            raise ConfigError(
                f"l1_banks: {self.l1_banks} banks of {self.l1_bank_bytes} byte serve {line} byte a cycle, but the widest port "
                f"takes {widest} byte and one bank more; {2 * self.l1_banks} banks would do"
            )
        if self.l1_bytes < 2 * line:
            raise ConfigError(f"l1_bytes: {self.l1_bytes} is less than two rows of the {self.l1_banks} banks")
        if self.l2_bytes < self.l2_ports * 512:
            raise ConfigError(f"l2_bytes: {self.l2_bytes} is too small for {self.l2_ports} ports")
        p, q = self.memory_clock if len(self.memory_clock) == 2 else (0, 0)
        if not (type(p) is int and type(q) is int and 1 <= p <= q <= 64):
            raise ConfigError(f"memory_clock: {list(self.memory_clock)} is not [p, q] with 1 <= p <= q <= 64")

    # Formats and rates

    @property
    def operand_formats(self) -> tuple[Format, ...]:
        return tuple(Format[name] for name in self.formats)

    def lanes(self, format: Format) -> int:
        """Products per PE and cycle, 0 where the chip lacks the format."""
        known = Format.INT8 if format is Format.UINT8 else format
        return lanes_of(known, self.int8_lanes) if known in self.operand_formats else 0

    def macs_per_cycle(self, format: Format) -> int:
        """Peak MACs of one SIP in one cycle."""
        return self.lanes(format) * self.pe_rows * self.pe_columns

    # Widths of the L1 ports

    @property
    def a_bytes(self) -> int:
        """One row of A for one pass: every PE row takes its lanes. TF32 sets it (4 lanes of 4 byte) where it is present."""
        return self.pe_rows * max(self.lanes(f) * CONTAINER_BYTES[f] for f in self.operand_formats)

    @property
    def b_bytes(self) -> int:
        """One row of B for all columns at 16 bit an element; FP32 and TF32 rows take two accesses."""
        return 2 * self.pe_columns

    @property
    def c_bytes(self) -> int:
        """Half a row of 32-bit results: a pass takes more than two cycles in all but degenerate shapes."""
        return 2 * self.pe_columns

    @property
    def vector_bytes(self) -> int:
        """One 32-bit value for each vector lane."""
        return 4 * self.vector_lanes

    # Addresses

    @property
    def l1_address_bits(self) -> int:
        return (self.l1_bytes - 1).bit_length()

    @property
    def channel_bytes(self) -> int:
        """16 banks of `dram_rows` pages of 1 KiB."""
        return 16 * 1024 * self.dram_rows

    @property
    def l3_bytes(self) -> int:
        return self.channels * self.channel_bytes

    # Identity

    def observables(self) -> dict:
        """What a program can observe; two chips that agree in it run the same programs with the same results."""
        return {
            "isa_version": ISA_VERSION, "sips": self.sips, "pe_rows": self.pe_rows, "pe_columns": self.pe_columns,
            "formats": sorted(self.formats), "int8_lanes": self.int8_lanes, "align": self.align,
            "vector_lanes": self.vector_lanes,
            "l1_bytes": self.l1_bytes, "l2_bytes": self.l2_bytes, "partitions": self.partitions,
        }

    @staticmethod
    def _hash(data: dict) -> int:
        text = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    @property
    def fingerprint(self) -> int:
        """64-bit hash of :meth:`observables`, carried by each program and exposed by the hardware."""
        return self._hash(self.observables())

    @property
    def build_hash(self) -> int:
        """64-bit hash of every parameter but the name: it names the build."""
        everything = dataclasses.asdict(self)
        del everything["name"]
        return self._hash({**everything, "isa_version": ISA_VERSION})

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict, *, source: str = "configuration") -> "ChipConfig":
        """Builds a configuration from a mapping; `base` names a preset that fills in the rest."""
        data = dict(data)
        base = data.pop("base", None)
        if base is not None and (not isinstance(base, str) or base not in PRESETS):
            raise ConfigError(f"{source}: base {base!r} is not one of {', '.join(PRESETS)}")
        known = {field.name for field in dataclasses.fields(cls)}
        for key in data:
            if key not in known:
                raise ConfigError(f"{source}: {key!r} is not a parameter; the parameters are {', '.join(sorted(known))}")
        for key in ("formats", "memory_clock"):
            if key in data and not isinstance(data[key], (list, tuple)):
                raise ConfigError(f"{source}: {key}: {data[key]!r} is not a list")
        try:
            return dataclasses.replace(PRESETS[base], **data) if base else cls(**data)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    @classmethod
    def load(cls, name: str) -> "ChipConfig":
        """A preset by name, or the configuration of a TOML file. Raises :class:`ConfigError`."""
        if name in PRESETS:
            return PRESETS[name]
        path = Path(name)
        if path.suffix != ".toml":
            raise ConfigError(f"configuration {name!r} is not one of {', '.join(PRESETS)}, and not a .toml file")
        try:
            data = tomllib.loads(path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"configuration {name}: {reason}") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"configuration {name}: {error}") from None
        except RecursionError:
            raise ConfigError(f"configuration {name}: nested too deeply") from None
        data.setdefault("name", re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem).lstrip(".-") or "custom")
        return cls.from_dict(data, source=f"configuration {name}")


_SLICE = dict(sips=4, pe_rows=2, pe_columns=32, vector_lanes=16, l1_banks=32, l2_bytes=2 * MIB, l2_ports=2, dram_rows=32768)

PRESETS = {
    config.name: config
    for config in (
        ChipConfig("tiny", pe_columns=4, vector_lanes=4, accumulator_rows=64, l1_bytes=32 * KIB, l1_banks=8, l2_bytes=64 * KIB,
                   read_queue=4, read_staging=8, write_pool=16, return_slots=64, outstanding=8),
        ChipConfig("small"),
        ChipConfig("i20_slice", **_SLICE),
        ChipConfig("i10_slice", **{**_SLICE, "pe_rows": 1, "pe_columns": 36, "vector_lanes": 4}, int8_lanes=4,
                   formats=("FP32", "FP16", "BF16", "INT8"), memory_clock=(5, 8)),
        ChipConfig("t20_slice", **_SLICE, channels=2),
    )
}
