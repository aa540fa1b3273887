"""The bundled example and the generated second model: ONNX's reference evaluator, codes that fill their range, figures."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from compiler.compile import compile_model
from rtl.config import PRESETS
from rtl.isa import Engine
from sim.golden.chip import GoldenChip
from verif.compiler.kit import execute
from verif.compiler.models import second_model


@pytest.mark.parametrize("seed", range(3))
def test_second_model(seed):
    model = second_model(seed)
    rng = np.random.default_rng(seed)
    samples = [{"image": rng.integers(0, 256, (1, 3, 11, 9), dtype=np.uint8)} for _ in range(3)]
    results = []
    for name in ("tiny", "small", "i20_slice"):
        compiled = compile_model(model, PRESETS[name])
        chip = GoldenChip(PRESETS[name])
        results.append(execute(compiled, samples, chip))
        macs = sum(entry.macs for entry in chip.trace if entry.engine is Engine.TENSOR)
        assert len(compiled.layers) == 6 and macs == sum(layer.macs for layer in compiled.layers) < 300_000
    for sample, *found in zip(samples, *results, strict=True):
        for name, wanted in zip(found[0], ReferenceEvaluator(model).run(list(found[0]), sample), strict=True):
            np.testing.assert_array_equal(found[0][name], found[1][name])
            np.testing.assert_array_equal(found[0][name], found[2][name])
            difference = np.abs(found[0][name].astype(int) - wanted.astype(int))
            assert difference.max() <= 1 and (difference != 0).mean() < 0.1 and len(np.unique(wanted)) > 3
