import keras
import numpy as np
import pytest

from keras_dla.layers import DynamicSharingUnit
from tests import golden
from tests.layers.cells import check_against_golden, numpy_of, save_and_load
from tests.layers.stages import randomize


def test_equals_the_authors_step_by_step():
    check_against_golden(DynamicSharingUnit(64, reduction=4), golden.load("dsu_cell"))


def test_verbatim_is_official():
    unit = DynamicSharingUnit(64, formulation="verbatim")
    check_against_golden(unit, golden.load("dsu_cell"))


@pytest.mark.parametrize("formulation", ["official", "paper"])
def test_saved_and_loaded_inside_rnn(tmp_path, formulation):
    unit = DynamicSharingUnit(16, reduction=2, normalizer="tanh", formulation=formulation)
    loaded = save_and_load(unit, tmp_path)
    assert loaded.reduction == 2
    assert loaded.normalizer == "tanh"
    assert loaded.formulation == formulation


@pytest.mark.parametrize(("channels", "reduction"), [(64, 4), (128, 16), (64, 1)])
def test_parameter_counts(channels, reduction):
    official = DynamicSharingUnit(channels, reduction)
    official.build((None, channels))
    hidden = channels // reduction
    assert official.count_params() == 8 * channels * hidden + 2 * hidden + 6 * channels

    paper = DynamicSharingUnit(channels, reduction, formulation="paper")
    paper.build((None, channels))
    # 5C^2/r of Section 3.4, the biases of Eq. 8 and the trainable c^0.
    assert paper.count_params() == 5 * channels * hidden + 3 * channels + channels


def test_the_first_context_of_the_paper_is_trained_and_not_zero():
    unit = DynamicSharingUnit(64, formulation="paper")
    unit.build((None, 64))
    assert any(weight is unit.initial_context for weight in unit.trainable_weights)
    (context,) = unit.get_initial_state(batch_size=3)
    expected = np.tile(numpy_of(unit.initial_context), (3, 1))
    np.testing.assert_array_equal(numpy_of(context), expected)
    assert 0.5 < expected.std() < 1.5


def test_the_first_states_of_the_authors_are_zero():
    unit = DynamicSharingUnit(64)
    hidden, context = unit.get_initial_state(batch_size=3)
    np.testing.assert_array_equal(numpy_of(hidden), np.zeros((3, 64)))
    np.testing.assert_array_equal(numpy_of(context), np.zeros((3, 64)))


NORMALIZERS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "identity": lambda z: z,
}


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_normalizers_of_table_5(normalizer):
    y = np.random.default_rng(0).normal(size=(3, 16)).astype("float32")
    unit = DynamicSharingUnit(16, normalizer=normalizer)
    unit.build((None, 16))
    randomize(unit)
    output, (hidden, context) = unit(y, unit.get_initial_state(3))
    np.testing.assert_array_equal(numpy_of(output), numpy_of(hidden))
    expected = NORMALIZERS[normalizer](numpy_of(context))
    np.testing.assert_allclose(numpy_of(output), expected, rtol=1e-5, atol=1e-6)

    unit = DynamicSharingUnit(16, normalizer=normalizer, formulation="paper")
    unit.build((None, 16))
    randomize(unit)
    c = np.random.default_rng(1).normal(size=(3, 16)).astype("float32")
    output, (context,) = unit(y, [c])
    np.testing.assert_array_equal(numpy_of(output), numpy_of(context))
    s = np.concatenate([NORMALIZERS[normalizer](c), y], 1) @ numpy_of(unit.reduce_kernel)
    gates = np.maximum(s, 0) @ numpy_of(unit.expand_kernel) + numpy_of(unit.expand_bias)
    i, f, g = np.split(gates, 3, axis=1)
    expected = NORMALIZERS["sigmoid"](f) * c + NORMALIZERS["sigmoid"](i) * np.tanh(g)
    np.testing.assert_allclose(numpy_of(output), expected, rtol=1e-4, atol=1e-5)


def test_half_precision():
    unit = DynamicSharingUnit(16, dtype="mixed_float16")
    output, states = unit(np.ones((2, 16), "float32"), unit.get_initial_state(2))
    assert keras.backend.standardize_dtype(output.dtype) == "float16"
    assert [keras.backend.standardize_dtype(state.dtype) for state in states] == ["float16"] * 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"units": 0}, "`units` must be an integer of at least 1, but is 0."),
        ({"units": 8.0}, "`units` must be an integer of at least 1, but is 8.0."),
        ({"units": 8, "reduction": 0}, "`reduction` must be an integer of at least 1, but is 0."),
        (
            {"units": 8, "reduction": 9},
            "`reduction` must be at most the number of channels (8), but is 9.",
        ),
        (
            {"units": 8, "normalizer": "softmax"},
            "`normalizer` must be one of 'sigmoid', 'tanh', 'relu', 'identity', but is 'softmax'.",
        ),
        (
            {"units": 8, "formulation": "exact"},
            "`formulation` must be one of 'official', 'paper', 'verbatim', but is 'exact'.",
        ),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError) as caught:
        DynamicSharingUnit(**arguments)
    assert str(caught.value) == sentence


def test_inputs_of_another_size():
    unit = DynamicSharingUnit(16)
    with pytest.raises(ValueError, match=r"`inputs` must have `units` \(16\) channels"):
        unit(np.ones((2, 8), "float32"), unit.get_initial_state(2))


def test_the_papers_first_state_before_the_first_call():
    unit = DynamicSharingUnit(8, formulation="paper")
    (context,) = unit.get_initial_state(batch_size=3)
    assert tuple(context.shape) == (3, 8)
    assert unit.built
