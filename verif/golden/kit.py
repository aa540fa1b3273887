"""Helpers of the golden model's tests: command words by name, programs into memory, number codes of numpy arrays."""

from collections.abc import Mapping, Sequence

import ml_dtypes
import numpy as np

from compiler.assembler import Program, assemble
from rtl.config import PRESETS, ChipConfig
from rtl.formats import Format
from rtl.image import Image
from rtl.isa import COMMANDS, Engine, words_of
from sim.golden.chip import GoldenChip
from sim.job import Job, JobResult

__all__ = ["ARGUMENTS", "IMAGE", "NUMPY", "TINY", "codes", "command_words", "dense", "launch", "load_image", "put", "take"]

TINY = PRESETS["tiny"]
#: Where tests put the image and the arguments in L3.
IMAGE, ARGUMENTS = 0x1000, 0x800

#: numpy type that holds the values of a format (not its codes); TF32 values are FP32 ones.
NUMPY = {
    Format.FP32: np.float32, Format.TF32: np.float32, Format.FP16: np.float16, Format.BF16: ml_dtypes.bfloat16,
    Format.INT8: np.int8, Format.UINT8: np.uint8, Format.INT32: np.int32,
}


def codes(values, format: Format) -> np.ndarray:
    """Bytes of values in a format."""
    return np.ascontiguousarray(np.asarray(values).astype(NUMPY[format])).reshape(-1).view(np.uint8)


def put(memory: np.ndarray, address: int, values, format: Format) -> int:
    """Writes values into memory; returns the first address behind them."""
    raw = codes(values, format)
    memory[address : address + len(raw)] = raw
    return address + len(raw)


def take(memory: np.ndarray, address: int, shape: Sequence[int], format: Format) -> np.ndarray:
    """Reads dense values of a format."""
    dtype = np.dtype(NUMPY[format])
    size = int(np.prod(shape)) * dtype.itemsize
    return memory[address : address + size].copy().view(dtype).reshape(shape)


def command_words(engine: Engine, **values) -> list[int]:
    """Words of a command register file; `mode` as a mapping, all that is not named is zero."""
    program = Program()
    program.forget()
    program.set(engine, **values)
    words = [0] * len(words_of(COMMANDS[engine]))
    for bits in program.instructions:
        words[bits >> 32 & 0xFFF] = bits & 0xFFFFFFFF
    return words


def dense(shape: Sequence[int], element: int) -> list[int]:
    """Strides in bytes of a dense row-major tensor, outermost first."""
    return [element * int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]


def load_image(chip: GoldenChip, image: Image | bytes, address: int = IMAGE):
    raw = np.frombuffer(image if isinstance(image, bytes) else image.to_bytes(), np.uint8)
    chip.l3[address : address + len(raw)] = raw


def launch(
    chip: GoldenChip, programs: Mapping[int, Program] | Program | Mapping[int, list[int]], arguments: Sequence[int] = (),
    partition: int = 0,
) -> JobResult:
    """Runs programs (of SIP 0, or by SIP; raw instructions too) as one job."""
    config: ChipConfig = chip.config
    programs = {0: programs} if isinstance(programs, Program) else programs
    if all(isinstance(program, Program) for program in programs.values()):
        image = assemble(config, programs)
    else:
        image = Image(config.fingerprint, tuple(tuple(programs.get(sip, ())) for sip in range(config.sips + 1)))
    load_image(chip, image)
    put(chip.l3, ARGUMENTS, np.array(arguments, np.int64).astype(np.uint32).view(np.int32), Format.INT32)
    mask = sum(1 << sip for sip in programs)
    return chip.run(Job(IMAGE, ARGUMENTS, len(arguments), mask, partition))
