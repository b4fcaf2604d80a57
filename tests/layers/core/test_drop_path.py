import keras
import numpy as np
import pytest
from keras import ops

from keras_dla.layers import DropPath
from tests.layers.stages import interaction, random_maps, run

ONES = np.ones((4000, 2, 2, 3), "float32")


def drop(rate, training=True, seed=0, inputs=ONES):
    return ops.convert_to_numpy(DropPath(rate, seed=seed)(inputs, training=training))


def test_whole_samples_are_dropped_and_the_rest_scaled_up():
    outputs = drop(0.2)
    per_sample = outputs.reshape(len(outputs), -1)
    assert (per_sample == per_sample[:, :1]).all()
    np.testing.assert_allclose(np.unique(outputs), [0, 1.25], rtol=1e-6)


def test_the_expectation_is_the_input():
    # The mean of 4000 samples has a standard deviation of 0.008.
    assert abs(drop(0.2).mean() - 1) < 0.03
    assert abs((drop(0.2)[:, 0, 0, 0] == 0).mean() - 0.2) < 0.03


def test_nothing_happens_at_inference_or_rate_0():
    np.testing.assert_array_equal(drop(0.2, training=False), ONES)
    np.testing.assert_array_equal(drop(0.0), ONES)


def test_seeds():
    np.testing.assert_array_equal(drop(0.5, seed=3), drop(0.5, seed=3))
    assert (drop(0.5, seed=3) != drop(0.5, seed=4)).any()
    layer = DropPath(0.5, seed=3)
    first, second = (ops.convert_to_numpy(layer(ONES, training=True)) for _ in range(2))
    assert (first != second).any()


def test_half_precision_keeps_its_dtype():
    output = DropPath(0.5, seed=0, dtype="mixed_bfloat16")(ONES, training=True)
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, "half", True])
def test_a_bad_rate(rate):
    with pytest.raises(ValueError) as caught:
        DropPath(rate)
    expected = f"`rate` must be at least 0 and less than 1, but is {rate!r}."
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["mrla_b", "mrla_l", "dla_b", "dla_l"])
def test_in_layer_attention_it_acts_on_the_attention_output_only(name):
    """Every sample is x + o / (1 - rate) or x itself, x = ReLU(branch + shortcut)."""
    branches, shortcuts = random_maps(2, batch=12)
    with_all, _ = run(interaction(name, 2), branches, shortcuts, training=True)
    layer = interaction(name, 2, drop_path=0.5)
    x = np.maximum(branches + shortcuts, 0)
    doubled = x + 2 * (with_all - x)
    outputs, _ = run(layer, branches, shortcuts, training=True)
    dropped = [np.abs(outputs - other).max((2, 3, 4)) < 1e-4 for other in (x, doubled)]
    assert (dropped[0] != dropped[1]).all()
    assert 0 < dropped[0].sum() < dropped[0].size
