"""The page's table of registers is that of `rtl/isa.py`."""

import re
from pathlib import Path

from rtl.isa import MemoryRegister

ROOT = Path(__file__).parents[3]


def test_register_table():
    page = (ROOT / "docs" / "memory_service.md").read_text()
    rows = {name: (int(address, 16), access) for address, name, access in
            re.findall(r"^\| (0x[0-9A-F]{3}) \| (\w+) \| (\w+)[^|]*\|", page, re.MULTILINE)}
    assert {name: address for name, (address, _) in rows.items()} == {register.name: int(register) for register in MemoryRegister}
    source = (ROOT / "rtl" / "isa.py").read_text()
    body = source[source.index("class MemoryRegister"):source.index("class MemoryControl")]
    access = dict(re.findall(r"^    (\w+) = 0x\w+  #: ([RWC]+)\b", body, re.MULTILINE))
    assert access == {name: letters for name, (_, letters) in rows.items()}


def test_points_are_named():
    page = (ROOT / "docs" / "memory_service.md").read_text()
    for folder in ("ecc", "service"):
        for file in (ROOT / "verif" / "memory" / folder).glob("*_tests.py"):
            points = set(re.findall(r"\bcp_\w+", file.read_text()))
            assert points and not {point for point in points if f"`{point}`" not in page}, file.name
