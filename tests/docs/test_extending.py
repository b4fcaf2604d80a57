"""The code of docs/extending.md runs as it stands there."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from tests.layers.stages import randomize

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_a_network_of_the_page(tmp_path, number):
    code = BLOCKS[number]
    definition = code[code.index("@keras") : code.index("model =")]
    assert len(definition.strip().splitlines()) < 30
    found = {}
    exec(compile(code, PAGE.name, "exec"), found)
    model = found["model"]
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    plain = ops.convert_to_numpy(model(x))
    randomize(model)
    expected = ops.convert_to_numpy(model(x))
    assert np.abs(expected - plain).max() > 1e-3
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(ops.convert_to_numpy(loaded(x)), expected, rtol=1e-4)


def test_the_page_has_two_networks():
    assert len(BLOCKS) == 2
