"""Labels without a class are refused by `fit` and `evaluate` themselves, on every backend."""

import keras
import numpy as np
import pytest

from keras_dla.data import ArrayDataset
from keras_dla.models import LeanModel
from keras_dla.training import EndlessBatches

SPARSE = keras.losses.SparseCategoricalCrossentropy
SENTENCE = "`labels` must be integers from 0 to 1, but contain 2."


def dataset(*labels):
    images = np.zeros((len(labels), 2, 2, 3), "uint8")
    return ArrayDataset(images, np.array(labels), batch_size=2, data_format="channels_last")


def model_of(loss):
    images = keras.Input((2, 2, 3))
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    model = LeanModel(images, outputs)
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        keras.losses.sparse_categorical_crossentropy,
        SPARSE(from_logits=True),
    ],
)
def test_a_label_without_a_class(loss):
    model, good, bad = model_of(loss), dataset(0, 1), dataset(0, 2)
    for use in (
        lambda: model.fit(bad),
        lambda: model.fit(EndlessBatches(bad), steps_per_epoch=1),
        lambda: model.fit(good, validation_data=bad),
        lambda: model.evaluate(bad),
    ):
        with pytest.raises(ValueError) as caught:
            use()
        assert str(caught.value) == SENTENCE


def test_labels_that_are_no_indices_of_outputs():
    def distance(labels, embeddings):
        return keras.ops.mean(keras.ops.square(embeddings), axis=-1)

    model_of(distance).fit(dataset(0, 7), verbose=0)
