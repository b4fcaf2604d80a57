"""What `complexity` takes, and what it refuses in a sentence."""

import keras
import pytest
from keras import layers

from keras_dla.analysis import complexity
from tests.backends import on_pytorch


def one_input():
    return keras.Sequential([keras.Input((None, None, 3)), layers.Dense(2)], name="mine")


@on_pytorch
@pytest.mark.parametrize(
    ("model", "input_shape", "sentence"),
    [
        (one_input, None, "`input_shape` must give every size, because the model's is (None, "),
        (one_input, (8, None, 3), "because the model's is (None, None, 3), but is (8, None, 3)."),
        (one_input, (8, 8, 4), "must fit the model's (None, None, 3) without a batch axis, but is"),
        (one_input, (1, 8, 8, 3), "without a batch axis, but is (1, 8, 8, 3)."),
        (one_input, 224, "without a batch axis, but is 224."),
        (one_input, [(8, 8, 3), (8, 8, 3)], "without a batch axis, but is [(8, 8, 3), (8, 8, 3)]."),
        (keras.Model, (8, 8, 3), "functional or built sequential model, but is of class Model."),
        (
            lambda: keras.Sequential([layers.Dense(2)], name="mine"),
            (8, 8, 3),
            "`model` must be a functional or built sequential model, but is 'mine', which is not",
        ),
        (lambda: layers.Dense(2), (3,), "sequential model, but is of class Dense."),
    ],
)
def test_bad_arguments(model, input_shape, sentence):
    with pytest.raises(ValueError) as caught:
        complexity(model(), input_shape)
    assert sentence in str(caught.value)


def test_several_inputs():
    first, second = keras.Input((None, 3), name="a"), keras.Input((4,), name="b")
    model = keras.Model([first, second], [layers.Dense(5)(first), layers.Dense(6)(second)])
    counts = complexity(model, [(7, 3), (4,)])
    assert counts.flops == 7 * 15 + 24
    assert "on 7 x 3, 4\n" in str(counts)
    named = keras.Model({"b": second, "a": first}, layers.Dense(5)(first))
    nested = keras.Model([first, second], named({"a": first, "b": second}))
    assert complexity(nested, [(7, 3), (4,)]).flops == 7 * 15
