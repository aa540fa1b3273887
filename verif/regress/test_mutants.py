"""`gcu regress --mutate`: a campaign of a small block, what is refused, and that every target exists."""

from pathlib import Path

import pytest

from gcu.regress import mutants
from gcu.regress.kinds import Answer
from verif.front.kit import gcu
from verif.mutants import TARGETS

ROOT = Path(__file__).parents[2]


def test_targets_exist():
    for name, target in TARGETS.items():
        text = "".join((ROOT / module).read_text() for module in target.modules)
        assert f"{target.design}(" in text, f"{name}: no test of {target.modules} runs {target.design}"


@pytest.mark.parametrize("words, message", [
    ("--mutate nosuch", "--mutate: 'nosuch' is not one of pe, tensor,"),
    ("--mutate pe --mutants 0", "--mutants 0: at least 1"),
    ("--mutate pe --faults memory", "--mutate is none of --faults's options"),
    ("--mutate pe --block l1", "--block is none of --mutate's options"),
    ("--faults memory --long", "--long is none of --faults's options"),
])  # fmt: skip
def test_refused(words, message):
    answer = gcu("regress", *words.split())
    assert answer.status == 2 and message in answer.err


def test_verdicts():
    """The first test that fails kills; time that runs out does; a job that ends without an answer is no verdict at all."""
    passed, failed = ({"outcome": outcome, "seconds": 1.0, "story": outcome} for outcome in ("passed", "failed"))

    def verdict(outcomes):
        (row,) = mutants.KINDS["mutant"].rows({"number": 7}, Answer({"outcomes": outcomes, "status": 0}))
        return row.killer

    assert verdict({"a": passed, "b": failed}) == "b"
    assert verdict({"a": passed}) is None
    assert verdict({"a": {**passed, "outcome": "skipped"}}) == "no test"
    (hung,) = mutants.KINDS["mutant"].rows({"number": 7}, Answer(None, "no result within 9 s", expired=True))
    assert hung.killer == "hangs"
    with pytest.raises(mutants.CheckFailed, match="mutant 7: the process of the job ended"):
        mutants.KINDS["mutant"].rows({"number": 7}, Answer(None, "the process of the job ended"))


@pytest.mark.long
def test_campaign(tmp_path):
    """Most faults in the codec are found; a survivor's command runs the same mutant again."""
    answer = gcu("regress", "--mutate", "codec", "--mutants", 8, "-o", tmp_path, "--json", "-")
    assert answer.status == 0, answer.err
    (report,) = answer.json["targets"]
    assert report["mutants"] == 8 == report["killed"] + report["survived"] and report["killed"] >= 6
    assert (tmp_path / "mutants_codec.json").exists() and (tmp_path / "campaign_codec.json").exists()
