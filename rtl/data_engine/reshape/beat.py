"""What flows through the reshaping stages between the two byte FIFOs: beats of packed bytes, and the shapes of tiles."""

from amaranth.lib import data

__all__ = ["MAX_LINES", "TILE_ROWS", "TileShape", "beat"]

#: A tile buffer has this many rows of a beat's bytes: two tiles of half as many.
TILE_ROWS = 1024

#: Most lines of a tile, and most elements of a line.
MAX_LINES = 512


def beat(width: int) -> data.StructLayout:
    """`count` bytes, 1 to `width`, from lane 0 up; what lies in the lanes above is undefined."""
    return data.StructLayout({"data": 8 * width, "count": width.bit_length()})


class TileShape(data.Struct):
    """A tile: `lines` lines of `elements` elements of 2^element byte each, as the source has them.

    With n = width / 2^element elements to a beat, ceil(lines / n) * elements is at most TILE_ROWS / 2.
    """

    lines: 10  #: 1 to MAX_LINES
    elements: 10  #: 1 to MAX_LINES
    element: 2
