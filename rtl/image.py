"""The program image: what lies in L3 and is fetched by the sequencers.

All numbers are little-endian. The header is 64 byte: magic, ISA version, fingerprint, number of entries; then one 8-byte entry
per SIP and one for the cluster's own sequencer (offset of its first instruction from the image's start, a multiple of 8, and its
number of instructions; length 0 means that it has no program), padded to a multiple of 64 byte; then the instructions.
"""

import struct
from dataclasses import dataclass

from amaranth.lib import data

from rtl.isa import ISA_VERSION

__all__ = ["HEADER_BYTES", "MAGIC", "Image", "ImageEntry", "ImageError", "ImageHeader"]

#: "MGCU" in memory order.
MAGIC = 0x5543474D
HEADER_BYTES = 64
_ALIGN = 64


class ImageHeader(data.Struct):
    """The first 16 byte, as the hardware reads them; the rest of the 64 is zero."""

    magic: 32
    version: 16
    entries: 16
    fingerprint: 64


class ImageEntry(data.Struct):
    """Where one sequencer's program lies."""

    offset: 32
    length: 32


class ImageError(ValueError):
    """Bytes that aren't an image. The message says what is wrong."""


@dataclass(frozen=True)
class Image:
    """A program: the fingerprint of its configuration and the instructions (64-bit integers) of each sequencer."""

    fingerprint: int
    programs: tuple[tuple[int, ...], ...]
    version: int = ISA_VERSION

    def to_bytes(self) -> bytes:
        entries = struct.pack("<IHHQ", MAGIC, self.version, len(self.programs), self.fingerprint).ljust(HEADER_BYTES, b"\0")
        table_end = HEADER_BYTES + 8 * len(self.programs)
        offset = -(-table_end // _ALIGN) * _ALIGN
        code = b""
        for program in self.programs:
            entries += struct.pack("<II", offset + len(code), len(program))
            code += struct.pack(f"<{len(program)}Q", *program)
        return entries.ljust(offset, b"\0") + code

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Image":
        """Parses an image; raises :class:`ImageError`."""
        if len(raw) < HEADER_BYTES:
            raise ImageError(f"{len(raw)} byte are less than the {HEADER_BYTES} of a header")
        magic, version, count, fingerprint = struct.unpack_from("<IHHQ", raw)
        if magic != MAGIC:
            raise ImageError(f"magic {magic:#010x} is not {MAGIC:#010x}")
        programs = []
        for index in range(count):
            if HEADER_BYTES + 8 * index + 8 > len(raw):
                raise ImageError(f"entry {index} lies beyond the end")
            offset, length = struct.unpack_from("<II", raw, HEADER_BYTES + 8 * index)
            if offset % 8 or offset + 8 * length > len(raw):
                raise ImageError(f"entry {index}: {length} instructions at {offset:#x} are misaligned or lie beyond the end")
            programs.append(struct.unpack_from(f"<{length}Q", raw, offset))
        return cls(fingerprint, tuple(programs), version)
