"""The pages: links lead somewhere, named files exist, every page opens with its path and stands in the index, every block is drawn, and
bit tables are those of the instruction set."""

import re
import runpy
from pathlib import Path

import pytest

from rtl.config import ChipConfig
from verif.docs.tables import renewed

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
INDEX = (ROOT / "docs" / "README.md").read_text()

#: Folders of `rtl/` that are no block of the diagram: shared parts, and the bus's rules.
SHARED = {"common", "bus"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_paths(page):
    text = page.read_text()
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not link.startswith("https:") and not (page.parent / link).exists()]
    named = re.findall(r"`((?:rtl|sim|compiler|verif|gcu|docs)/[\w/.-]*)`", text)
    missing += [path for path in named if not (ROOT / path).exists()]
    assert not missing, f"{page.name} names what doesn't exist: {missing}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_page_opens_with_its_path_and_is_indexed(page):
    if page.name == "README.md":
        return
    opening = "\n".join(page.read_text().splitlines()[1:5])
    assert re.search(r"`(rtl|sim|compiler|verif|gcu)/", opening), "the page must open with the path of its files"
    assert f"]({page.name})" in INDEX, "the page is missing in docs/README.md"


def test_bit_tables_are_those_of_the_instruction_set():
    pages = [page for page in sorted((ROOT / "docs").glob("*.md")) if "<!-- words of " in page.read_text()]
    assert pages
    for page in pages:
        assert page.read_text() == renewed(page.read_text()), f"{page.name}: run python -m verif.docs.tables"


def test_decisions_are_indexed():
    for record in (ROOT / "docs" / "decisions").glob("*.md"):
        assert f"](decisions/{record.name})" in INDEX
        assert re.match(rf"# {record.name[:4]} ", record.read_text())


def test_every_block_is_drawn(tmp_path):
    module = runpy.run_path(str(ROOT / "docs" / "blocks.py"))
    drawn = {where for *_, where, _ in module["BOXES"]}
    blocks = {path.name for path in (ROOT / "rtl").iterdir() if (path / "__init__.py").exists()} - SHARED
    assert {f"rtl/{block}/" for block in blocks} <= drawn
    module["draw"](tmp_path / "blocks.svg")
    assert (tmp_path / "blocks.svg").stat().st_size > 10_000


@pytest.mark.long
def test_ping_pong_is_drawn(tmp_path):
    """On `small`, whose results must be numpy's."""
    module = runpy.run_path(str(ROOT / "docs" / "ping_pong.py"))
    assert module["draw"](tmp_path / "ping_pong.png", ChipConfig.load("small")).stat().st_size > 20_000


#: Pages of a folder of `verif/` where they have another name. What the front door's tests of a block are for stands in the block's plan.
PLANS = {"memory": ("memory", "memory_ports", "memory_scheduler", "memory_service", "hbm_model"), "common": ("verification",)}


@pytest.mark.parametrize("folder", sorted({path.name for path in (ROOT / "verif").iterdir() if any(path.rglob("test_*.py"))} - {"front"}))
def test_plan_and_code_name_the_same_coverage_points(folder):
    def points(paths) -> set[str]:
        return {name for path in paths for name in re.findall(r"\bcp_\w+", path.read_text())}

    pages = [ROOT / "docs" / f"{page}.md" for page in PLANS.get(folder, (folder,))]
    code = [*(ROOT / "verif" / folder).rglob("*.py"), *(ROOT / "verif" / "front").glob(f"test_{folder}.py")]
    planned, coded = points(path for path in pages if path.exists()), points(code)
    assert planned == coded, f"only in the plan: {sorted(planned - coded)}; only in the code: {sorted(coded - planned)}"
