"""The code that protects each 64-bit word: SECDED (72, 64) after Hsiao (1970). Every data bit has a column of odd weight.

Check bit j is the parity of the data bits whose column has bit j; a word of zeros has check bits of zero. The syndrome is the XOR of the
stored check bits with those of the stored data: 0 is no error, a column of the table or a power of two is that one bit, any other
odd or even value can't be corrected. Two errors give an even syndrome that isn't 0, which no single one gives.
"""

__all__ = ["COLUMNS", "MASKS"]

#: For each data bit, the check bits that it is part of: all 56 bytes of weight 3, then the 8 rotations of 00011111, so that every
#: check bit is the parity of 26 data bits.
COLUMNS: tuple[int, ...] = (
    *(byte for byte in range(256) if byte.bit_count() == 3),
    *((0x1F << turn | 0x1F >> (8 - turn)) & 0xFF for turn in range(8)),
)

#: For each check bit, the mask of its data bits.
MASKS: tuple[int, ...] = tuple(sum(1 << bit for bit, column in enumerate(COLUMNS) if column >> check & 1) for check in range(8))
