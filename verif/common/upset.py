"""One run in which something goes wrong, and what `gcu regress --faults` is told of it."""

import json
from collections.abc import Callable
from pathlib import Path

from verif.common.runner import BenchFailure

__all__ = ["judge_upset"]

#: Outcomes that a kind which the design protects may have.
_GOOD = ("harmless", "corrected", "reported")


def judge_upset(request, run: Callable[[], Path], outcome: Callable[[dict], str], *, kind: str, place: str, protected: bool):
    """Calls `run`, whose folder then holds what its testbench saw as `upset.json`, and notes the `outcome` of that for the test `request`.

    A run that breaks off has an outcome, too, but for a build that failed. Asserts that a `protected` kind ends well.
    """
    try:
        result = outcome(json.loads((run() / "upset.json").read_text()))
    except BenchFailure as error:
        if "the build failed" in str(error):
            raise
        # A port's rules were seen broken, or the run did not come to an end.
        result = "hangs" if "did not end within" in str(error) else "breaks the port's rules"
    request.node.user_properties.append(("upset", {"kind": kind, "place": place, "outcome": result, "protected": protected}))
    print(f"{kind}: {place}: {result}")
    assert not protected or result in _GOOD, f"{place}: {result}"
