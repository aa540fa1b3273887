"""Operand formats that the tensor core computes in, and the widths that follow from them."""

from rtl.config import ChipConfig
from rtl.formats import CONTAINER_BYTES, Format

__all__ = ["IMPLEMENTED", "block_rows", "element_log2", "group_bytes", "operand_bits", "operands"]

#: What the PEs can compute; a command for another format ends with UNSUPPORTED.
IMPLEMENTED = (Format.FP32, Format.TF32, Format.FP16, Format.BF16, Format.INT8, Format.UINT8)


def operands(config: ChipConfig) -> tuple[Format, ...]:
    """The operand formats of this chip's tensor core; UINT8 comes with INT8."""
    return tuple(format for format in IMPLEMENTED if config.lanes(format))


def element_log2(format: Format) -> int:
    """log2 of an element's bytes."""
    return CONTAINER_BYTES[format].bit_length() - 1


def group_bytes(config: ChipConfig, format: Format) -> int:
    """Bytes of one group: what one PE takes in one operation. A power of two."""
    return config.lanes(format) * CONTAINER_BYTES[format]


def operand_bits(config: ChipConfig) -> int:
    """Width of a PE's operand registers: the widest group, and 32 bit at least since weights arrive by words."""
    return 8 * max([4] + [group_bytes(config, format) for format in operands(config)])


def block_rows(config: ChipConfig, element: int) -> int:
    """Rows of a transposed A that are turned at a time, for elements of `element` byte.

    As many rows as a pass has channels at the least, so that a block is read in no more cycles than its rows take in the array; and
    no more than one access holds.
    """
    most = config.a_bytes // max(element, 2)
    return max(1, min(most, config.accumulator_rows))
