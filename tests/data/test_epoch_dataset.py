import keras
import numpy as np
import pytest

from keras_dla.data import ArrayDataset
from keras_dla.training import EndlessBatches

BATCHES = 5


class Watched(ArrayDataset):
    """Notes which batch of which epoch is made."""

    def __getitem__(self, index):
        self.seen.append((self.epoch, index))
        return super().__getitem__(index)


def watched():
    images, labels = np.zeros((20, 8, 8, 3), "uint8"), np.arange(20)
    dataset = Watched(images, labels, batch_size=4, data_format="channels_last")
    dataset.seen = []
    return dataset


def fit(data, **arguments):
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(20)]
    model = keras.Sequential(layers)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(data, verbose=0, **arguments)
    return int(model.optimizer.iterations)


def passes(count):
    return [(epoch, index) for epoch in range(count) for index in range(BATCHES)]


@pytest.mark.parametrize("arguments", [{}, {"steps_per_epoch": 5}, {"initial_epoch": 1}])
def test_every_epoch_of_fit_is_an_epoch(arguments):
    dataset = watched()
    dataset.epoch = first = arguments.get("initial_epoch", 0)
    steps = fit(dataset, epochs=3, shuffle=False, **arguments)
    assert steps == BATCHES * (3 - first)
    expected = passes(3)[first * BATCHES :]
    assert dataset.seen[-len(expected) :] == expected


@pytest.mark.filterwarnings("ignore:.*ran out of data")
def test_shorter_epochs_of_fit_go_through_the_images_in_order():
    """Keras ends its second epoch where the images end, and says so."""
    dataset = watched()
    assert fit(dataset, epochs=4, steps_per_epoch=3, shuffle=False) == 2 * BATCHES
    assert dataset.seen[-2 * BATCHES :] == passes(2)


def test_epochs_of_any_length_without_an_end():
    dataset = watched()
    assert fit(EndlessBatches(dataset), epochs=4, steps_per_epoch=3, shuffle=False) == 12
    start = max(place for place, seen in enumerate(dataset.seen) if seen == (0, 0))
    assert dataset.seen[start : start + 12] == passes(3)[:12]


def test_batches_that_keras_permutes_make_an_epoch_too():
    dataset = watched()
    fit(dataset, epochs=2, shuffle=True)
    assert sorted(dataset.seen[-2 * BATCHES :]) == passes(2)


@pytest.mark.parametrize("name", ["workers", "use_multiprocessing"])
@pytest.mark.parametrize("endless", [False, True])
def test_workers_of_keras_change_nothing(name, endless):
    dataset = watched()
    data = EndlessBatches(dataset) if endless else dataset
    with pytest.warns(UserWarning, match=f"`{name}` of .* must be .* keep their order, but is 2"):
        setattr(data, name, 2)
    fit(data, epochs=2, steps_per_epoch=BATCHES, shuffle=False)
    start = max(place for place, seen in enumerate(dataset.seen) if seen == (0, 0))
    assert dataset.seen[start : start + 2 * BATCHES] == passes(2)
