"""A file to read, or standard input."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from gcu.errors import BadInput

__all__ = ["opened"]


@contextmanager
def opened(option: str, path: str) -> Iterator[BinaryIO]:
    """The bytes of `path`, `-` for standard input. Raises :class:`BadInput`, naming the option, for a file that can't be read."""
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")
    except OSError as error:
        raise BadInput(f"{option} {path}: {error.strerror}") from None
    with stream:
        yield stream
