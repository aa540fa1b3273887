"""A compiled model on the golden chip against ONNX's reference evaluator: every output bit, several jobs in a row."""

from pathlib import Path

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

import gcu.examples.digits
from compiler.compile import compile_model
from rtl.config import ChipConfig
from rtl.isa import Status
from sim.golden.chip import GoldenChip
from sim.job import Job

MODEL = Path(gcu.examples.digits.__file__).parent / "digits.onnx"
ALIGN = 256


@pytest.mark.parametrize("name", ("tiny", "small", "i20_slice", "i10_slice"))
def test_digits(name):
    compiled = compile_model(MODEL, ChipConfig.load(name))
    chip = GoldenChip(compiled.config)
    for address, data in compiled.segments:
        chip.l3[address : address + len(data)] = np.frombuffer(data, np.uint8)
    bindings = (*compiled.inputs, *compiled.outputs)
    arguments = -(-compiled.end // ALIGN) * ALIGN
    places = {binding.name: arguments + ALIGN * (1 + 16 * binding.argument) for binding in bindings}
    words = np.zeros(len(bindings), "<u4")
    for binding in bindings:
        words[binding.argument] = places[binding.name]
    chip.l3[arguments : arguments + words.nbytes] = words.view(np.uint8)
    reference = ReferenceEvaluator(str(MODEL))
    rng = np.random.default_rng(1)
    for _ in range(5):
        feeds = {}
        for binding in compiled.inputs:
            feeds[binding.name] = rng.integers(0, 128, binding.shape).astype(binding.dtype)
            raw = np.frombuffer(binding.encode(feeds[binding.name]), np.uint8)
            chip.l3[places[binding.name] : places[binding.name] + len(raw)] = raw
        assert chip.run(Job(compiled.image, arguments, len(words))).status is Status.OK
        assert sum(entry.macs for entry in chip.trace) >= sum(layer.macs for layer in compiled.layers)
        for binding, wanted in zip(compiled.outputs, reference.run(None, feeds), strict=True):
            place = places[binding.name]
            np.testing.assert_array_equal(binding.decode(chip.l3[place : place + binding.bytes].tobytes()), wanted)
