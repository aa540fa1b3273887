"""A program that the chip can't run is refused before anything runs."""

from dataclasses import replace

import pytest

from compiler.assembler import Program, assemble
from gcu.errors import BadInput
from gcu.execute import execute
from rtl.config import ISA_VERSION, PRESETS
from rtl.image import Image
from sim.job import Job
from sim.workload import Segment, Workload


def workload(image: Image, config: str = "tiny") -> Workload:
    return Workload(PRESETS[config], (Segment(0x400, image.to_bytes()),), (Job(0x400, 0, 0),), ())


def image(config: str = "tiny") -> Image:
    program = Program()
    program.end()
    return assemble(PRESETS[config], {0: program})


@pytest.mark.parametrize(("case", "message"), [
    (workload(image("small")), "job 0: its program is for the configuration 0x"),
    (workload(replace(image(), version=9)), f"job 0: its program is of version 9, this chip runs {ISA_VERSION}"),
    (replace(workload(image()), jobs=(Job(0x4000, 0, 0),)), "job 0: no program lies at 0x4000"),
    (replace(workload(image()), segments=(Segment(0x400, b"\0" * 64),)), "magic 0x00000000 is not"),
])
def test_refused(case, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        execute(case, ["golden"], tmp_path)


def test_good(tmp_path):
    assert execute(workload(image()), ["golden"], tmp_path)["golden"].jobs[0].error is None
