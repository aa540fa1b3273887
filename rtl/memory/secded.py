"""The code that protects each 64-bit word: SECDED (72, 64) after Hsiao (1970). Every data bit has a column of odd weight.

Check bit j is the parity of the data bits whose column has bit j; a word of zeros has check bits of zero. The syndrome is the XOR of the
stored check bits with those of the stored data: 0 is no error, a column of the table or a power of two is that one bit, any other
odd or even value can't be corrected. Two errors give an even syndrome that isn't 0, which no single one gives.

A word is *poisoned* by inverting the check bits of :data:`POISON` as it is stored: its syndrome is of odd weight and no column. One more
error makes it even and not 0, so that a poisoned word stays uncorrectable whatever single bit of it flips.
"""

__all__ = ["COLUMNS", "MASKS", "POISON"]

#: For each data bit, the check bits that it is part of: all 56 bytes of weight 3, then the 8 rotations of 00011111, so that every
#: check bit is the parity of 26 data bits.
COLUMNS: tuple[int, ...] = (
    *(byte for byte in range(256) if byte.bit_count() == 3),
    *((0x1F << turn | 0x1F >> (8 - turn)) & 0xFF for turn in range(8)),
)

#: For each check bit, the mask of its data bits.
MASKS: tuple[int, ...] = tuple(sum(1 << bit for bit, column in enumerate(COLUMNS) if column >> check & 1) for check in range(8))

#: No byte of weight 7 is a column, and none of even weight could do: a single error would turn some into a column.
POISON = 0x7F
