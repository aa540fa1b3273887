"""Bit tables of the instruction set in the pages: between two marks of a page, the words of a struct of `rtl/isa.py`.

    <!-- words of DataCommand -->
    ...
    <!-- end -->

`python -m verif.docs.tables` writes them anew; a test tells where a page is behind.
"""

import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from amaranth.lib import data

from rtl import isa

__all__ = ["PAGES", "renewed"]

PAGES = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(r"(<!-- words of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MEMBER = re.compile(r"^ {4}(\w+): ([\w.()]+)(?: +#: (.*))?$")


def _meanings(struct: type) -> dict[str, str]:
    """What the comments of the struct's source say of each member, on its line or above it."""
    meanings, above = {}, []
    for line in inspect.getsource(struct).splitlines():
        if line.startswith("    #: "):
            above.append(line[7:])
        elif found := _MEMBER.match(line):
            meanings[found[1]] = " ".join([*above, *([found[3]] if found[3] else [])])
            above = []
    return meanings


def _kind(struct: type, name: str) -> type | None:
    """The enumeration or struct that a member is."""
    kind = data.Layout.cast(struct)[name].shape
    return kind if isinstance(kind, type) else None


def _bits(first: int, width: int) -> str:
    return f"{first + width - 1}:{first}" if width > 1 else f"{first}"


def _runs(struct: type) -> Iterator[list[str]]:
    """Members in order; those that differ in their number alone together."""
    for stem, names in itertools.groupby(data.Layout.cast(struct), lambda member: member[0].rstrip("0123456789")):
        members = [name for name, _ in names]
        if _kind(struct, members[0]) is None or stem == members[0]:
            yield members
        else:
            yield from ([member] for member in members)


def _rows(struct: type) -> Iterator[tuple[str, str, str, str]]:
    meanings = _meanings(struct)
    word = 0
    for members in _runs(struct):
        name, word = members[0], word + len(members)
        kind = _kind(struct, name)
        if kind is None:
            span = f"{word - len(members)}" + (f" to {word - 1}" if len(members) > 1 else "")
            many = f" to `{members[-1]}`" if len(members) > 1 else ""
            yield span, "31:0", f"`{name}`{many}", meanings[name]
            continue
        inner = _meanings(kind)
        for member, part in data.Layout.cast(kind):
            of = _kind(kind, member)
            meaning = " ".join(text for text in (f"{of.__name__}:" if of else "", inner[member]) if text)
            yield str(word - 1), _bits(part.offset, part.width), f"`{name}.{member}`", meaning


def _table(struct: type) -> str:
    lines = ["| word | bits | field | meaning |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(struct)]
    return "\n".join(lines) + "\n"


def renewed(text: str) -> str:
    """A page's text with its tables as the instruction set has them."""
    return _BLOCK.sub(lambda found: found[1] + _table(getattr(isa, found[2])) + found[3], text)


if __name__ == "__main__":
    for page in sorted(PAGES.glob("*.md")):
        page.write_text(renewed(page.read_text()))
