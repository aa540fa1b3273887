"""`gcu regress`: the database, a run with a failure that its command replays, the reports, bad input."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gcu.regress.collect import collect
from gcu.regress.tests import jobs
from verif.common.runner import SIMULATORS
from verif.database import Case
from verif.front.kit import gcu

ROOT = Path(__file__).parents[2]


def collected(block: str, keyword: str | None = None, *, simulators=SIMULATORS, long=False, seeds=1) -> list[Case]:
    return collect(simulators, blocks=[block], keyword=keyword, long=long, seeds=seeds)


def test_database_has_what_pytest_collects():
    cases = collected("common", "test_stream", seeds=2)
    assert {(case.test, case.configuration, case.simulator, case.round) for case in cases} == {
        (test, configuration, simulator, number)
        for test, configuration in (("test_stream", "register"), ("test_stream", "fifo"), ("test_stream_fault", ""))
        for simulator in SIMULATORS for number in (0, 1)
    }
    assert {(case.block, case.tier, case.module) for case in cases} == {("common", "quick", "verif/common/test_common.py")}
    assert len({case.seed for case in cases}) == len(cases), "a seed for each test and round"


def test_rounds_are_for_tests_with_a_seed():
    cases = collected("common", "names_outputs or stream_fault", simulators=["icarus"], seeds=3)
    assert [case.test for case in cases].count("test_stream_fault") == 3
    assert [case.test for case in cases].count("test_fault_names_outputs") == 1


def test_tiers():
    quick, both = (collected("l1", simulators=["icarus"], long=long) for long in (False, True))
    assert {case.tier for case in quick} == {"quick"} and set(quick) < set(both)
    assert {case.test for case in set(both) - set(quick)} == {"test_l1_presets"}


def case(number: int, **more) -> Case:
    fields = dict(nodeid=f"verif/a/test_a.py::test_{number}", block="a", test=f"test_{number}", configuration="", simulator="python")
    return Case(**{**fields, "tier": "quick", "seed": number, "seeded": False, **more})


def test_jobs_share_what_is_short_and_start_with_what_is_long():
    cases = [case(number) for number in range(6)] + [case(6, round=1)]
    seconds = {case.nodeid: 1.0 for case in cases} | {cases[1].nodeid: 100.0, cases[4].nodeid: 30.0}
    made = jobs(cases, seconds, ["icarus"], long=False, fault=None)
    names = [[fields["test"] for fields in job.argument["cases"]] for job in made]
    assert names == [["test_1"], ["test_4"], ["test_2", "test_3"], ["test_0"], ["test_5"], ["test_6"]]
    assert [job.cost for job in made] == [100.0, 30.0, 2.0, 1.0, 1.0, 1.0]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A run with a broken testbench among good ones, and one without."""
    folder = tmp_path_factory.mktemp("regress")
    words = "regress", "--block", "common", "-k", "stream or names_outputs", "--sim", "icarus", "--workers", "2", "-o", folder
    words += "--json", "-"
    return folder, gcu(*words, "--break", "test_stream[icarus-fifo"), gcu(*words)


def test_failure_is_reported(broken):
    folder, bad, good = broken
    assert (bad.status, bad.json["passed"], bad.json["failed"]) == (1, 3, 1), bad.err
    assert (good.status, good.json["passed"], good.json["failed"]) == (0, 4, 0), good.err
    assert "1 of 4 tests" in bad.err and "FAILED verif/common/test_common.py::test_stream[icarus-fifo]" in bad.err
    suites = {suite.get("name"): suite for suite in ElementTree.parse(folder / "junit.xml").getroot()}
    assert set(suites) == {"common.icarus", "common.python"}
    assert [len(suite.findall("testcase")) for _, suite in sorted(suites.items())] == [3, 1]


def test_page_stands_alone_and_names_the_failure_of_the_run_before(broken):
    folder, _, _ = broken
    page = (folder / "index.html").read_text()
    assert not re.search(r"(src|href)=[\"'](?!#)", page), "nothing from elsewhere"
    for part in ("Blocks and simulators", "No test of this run samples a coverage plan", "No test of this run measures an engine"):
        assert part in page
    history = page[page.index('id="history"'): page.index('id="coverage"')]
    assert history.count("gcu regress" if "gcu regress" in history else "<code>gcu") >= 2
    assert "test_stream[icarus-fifo]" in history, "it failed, and then passed"


def test_replay_command_fails_alike(broken):
    _, bad, _ = broken
    (failure,) = bad.json["failures"]
    program, *words = shlex.split(failure["replay"])
    assert program == ".venv/bin/pytest" and str(failure["seed"]) in words and "--waves" in words
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 1, run.stdout[-2000:]

    def what_failed(story: str) -> list[str]:
        return sorted(set(re.findall(r"AssertionError: .*", story)))

    assert what_failed(run.stdout) == what_failed(failure["story"]) != []
    (waves,) = re.findall(r"waves: (\S+)", run.stdout)[:1]
    assert Path(waves).stat().st_size > 1000


def test_list(tmp_path):
    answer = gcu("regress", "--block", "l1", "--sim", "icarus", "--list", "-o", tmp_path, "--json", "-")
    assert answer.status == 0 and {case["block"] for case in answer.json["cases"]} == {"l1"}
    assert "test_l1_few_rows" in answer.err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("words", "message"), [
    (["--sim", "modelsim"], "gcu: --sim: 'modelsim' is not one of icarus, verilator"),
    (["--block", "gpu"], "gcu: --block: 'gpu' is not one of "),
    (["--seeds", "0"], "gcu: --seeds 0: at least 1"),
    (["--workers", "0"], "gcu: --workers 0: at least 1"),
    (["--workers", "2", "--scheduler", "tcp://a:1"], "gcu: --workers starts workers here, --scheduler takes those of a cluster"),
    (["--block", "l1", "-k", "nosuchtest"], "gcu: no test has 'nosuchtest'"),
    (["--block", "l1", "-k", "presets"], "gcu: all of these tests are of the long tier; add --long"),
    (["--block", "l1", "--break", "test_geometry"], "gcu: --break: no testbench of this run has 'test_geometry' in its name"),
    (["-o", "/proc/nothing"], "gcu: -o /proc/nothing: "),
])  # fmt: skip
def test_bad_input(words, message, tmp_path):
    answer = gcu("regress", "-o", tmp_path, *words)
    assert answer.status == 2 and answer.err.startswith(message) and answer.err.count("\n") == 1, answer.err
