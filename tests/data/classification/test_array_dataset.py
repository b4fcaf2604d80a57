import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dla.data import CIFAR_MEAN, CIFAR_STD, ArrayDataset

SIZE = 23


def numbered_images(size=SIZE, side=8):
    """Images of random pixels with labels that are their numbers."""
    images = np.random.default_rng(0).integers(0, 256, (size, side, side, 3), "uint8")
    return images, np.arange(size)


def epochs_of(dataset, count):
    """The batches of `count` epochs, driven as Keras drives a data set."""
    epochs = []
    for _ in range(count):
        dataset.on_epoch_begin()
        epochs.append([dataset[index] for index in range(len(dataset))])
        dataset.on_epoch_end()
    return epochs


def assert_same(one, other):
    for (images, labels), (other_images, other_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


@given(batch_size=st.integers(1, SIZE + 3), seed=st.integers(0, 2**64), epoch=st.integers(0, 99))
@settings(deadline=None)
def test_batches_partition_the_images(batch_size, seed, epoch):
    dataset = ArrayDataset(*numbered_images(), batch_size, seed=seed, initial_epoch=epoch)
    batches = [dataset[index] for index in range(len(dataset))]
    assert sorted(np.concatenate([labels for _, labels in batches])) == list(range(SIZE))
    assert all(len(labels) == batch_size for _, labels in batches[:-1])
    assert all(len(images) == len(labels) for images, labels in batches)


@given(batch_size=st.integers(1, SIZE), seed=st.integers(0, 2**64), resumed=st.integers(0, 4))
@settings(deadline=None, max_examples=25)
def test_resuming_continues_an_uninterrupted_run(batch_size, seed, resumed):
    arrays = numbered_images()
    whole = epochs_of(ArrayDataset(*arrays, batch_size, seed=seed), 5)
    rest = epochs_of(
        ArrayDataset(*arrays, batch_size, seed=seed, initial_epoch=resumed), 5 - resumed
    )
    for epoch, again in zip(whole[resumed:], rest, strict=True):
        assert_same(epoch, again)


def test_epochs_and_seeds_differ():
    images, labels = numbered_images()
    first, second = epochs_of(ArrayDataset(images, labels, SIZE), 2)
    other = ArrayDataset(images, labels, SIZE, seed=1)[0]
    for batch in (second[0], other):
        assert np.any(batch[1] != first[0][1])
        assert np.any(batch[0] != first[0][0])


def test_validation_batches_are_the_normalised_images_in_order():
    images, labels = numbered_images()
    dataset = ArrayDataset(
        images, labels, 10, augment=False, shuffle=False, data_format="channels_last"
    )
    for epoch in epochs_of(dataset, 2):
        batch_images, batch_labels = (np.concatenate(parts) for parts in zip(*epoch, strict=True))
        np.testing.assert_array_equal(batch_labels, labels)
        expected = (images / 255 - CIFAR_MEAN) / CIFAR_STD
        np.testing.assert_allclose(batch_images, expected, atol=2e-6)
        assert batch_images.dtype == np.float32
        assert batch_labels.dtype == np.int32


def test_the_border_is_black_before_normalisation():
    images = np.full((64, 8, 8, 3), 255, "uint8")
    batch, _ = ArrayDataset(images, np.zeros(64, int), 64, data_format="channels_last")[0]
    black = -np.array(CIFAR_MEAN) / CIFAR_STD
    white = (1 - np.array(CIFAR_MEAN)) / CIFAR_STD
    is_black, is_white = (np.isclose(batch, value, atol=1e-5) for value in (black, white))
    assert np.all(is_black | is_white)
    assert is_black.any()
    assert is_white.any()


def test_channels_first_is_the_transpose():
    arrays = numbered_images()
    last = ArrayDataset(*arrays, 10, data_format="channels_last")[1][0]
    first = ArrayDataset(*arrays, 10, data_format="channels_first")[1][0]
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))
    assert first.flags.c_contiguous
    assert last.flags.c_contiguous


def test_data_format_follows_keras():
    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        assert ArrayDataset(*numbered_images(), 10)[0][0].shape == (10, 3, 8, 8)
    finally:
        keras.config.set_image_data_format(before)


def test_other_channel_counts():
    images = np.full((2, 4, 4, 1), 255, "uint8")
    for data_format in ("channels_last", "channels_first"):
        dataset = ArrayDataset(
            images, np.arange(2), augment=False, mean=(0.5,), std=(0.25,), data_format=data_format
        )
        np.testing.assert_allclose(dataset[0][0], 2.0, rtol=1e-6)


def test_drop_remainder():
    dataset = ArrayDataset(*numbered_images(), 10, drop_remainder=True)
    assert [len(dataset[index][1]) for index in range(len(dataset))] == [10, 10]


class Recorder(ArrayDataset):
    """Notes the epoch and number of every batch that is asked for."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def __getitem__(self, index):
        self.seen.append((self.epoch, index))
        return super().__getitem__(index)


def fit(dataset, first, last):
    model = keras.Sequential(
        [keras.Input(dataset[0][0].shape[1:]), keras.layers.Flatten(), keras.layers.Dense(SIZE)]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    dataset.seen.clear()
    model.fit(
        dataset,
        initial_epoch=first,
        epochs=last,
        shuffle=False,
        verbose=0,
        validation_data=ArrayDataset(*numbered_images(), 10, augment=False, shuffle=False),
    )


@pytest.mark.parametrize("first", [0, 2])
def test_fit_sees_each_epoch_once_and_in_order(first):
    # `fit` looks at a batch or two before it begins, and ends an epoch that never began.
    dataset = Recorder(*numbered_images(), 10, initial_epoch=first)
    fit(dataset, first, 4)
    expected = [(epoch, index) for epoch in range(first, 4) for index in range(len(dataset))]
    assert dataset.seen[-len(expected) :] == expected
    assert all(epoch == first for epoch, _ in dataset.seen[: -len(expected)])
    assert dataset.epoch == 4


def test_fit_twice_goes_on_where_it_was():
    dataset = Recorder(*numbered_images(), 10)
    fit(dataset, 0, 1)
    fit(dataset, 1, 2)
    assert dataset.seen[-3:] == [(1, 0), (1, 1), (1, 2)]


IMAGES, LABELS = numbered_images(4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": IMAGES.astype("float32")}, "uint8 array.*float32"),
        ({"images": IMAGES[0]}, r"uint8 array.*\(8, 8, 3\)"),
        ({"images": IMAGES.tolist()}, "uint8 array.*list"),
        ({"labels": LABELS[:3]}, "at least 1, but have 4 and 3"),
        ({"labels": LABELS[:, None]}, r"`labels`.*\(4, 1\)"),
        ({"labels": LABELS / 2}, "`labels`.*float64"),
        ({"labels": LABELS - 1}, "`labels` must be integers from 0 to .*, but contain -1"),
        ({"labels": LABELS + 2**40}, f"but contain {2**40}"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "at least 1, but have 0 and 0"),
        ({"batch_size": 0}, "`batch_size`.*at least 1.*0"),
        ({"batch_size": 2.5}, "`batch_size`.*integer.*2.5"),
        ({"batch_size": True}, "`batch_size`.*integer.*True"),
        ({"seed": -1}, "`seed`.*at least 0.*-1"),
        ({"initial_epoch": -1}, "`initial_epoch`.*at least 0.*-1"),
        ({"mean": (0.5,)}, "`mean` and `std`.*same length"),
        ({"mean": (0.5,), "std": (0.5,)}, "must have 3 entries.*but have 1"),
        ({"std": (1, 0, 1)}, "`std` must be positive"),
        ({"data_format": "NHWC"}, "`data_format` must be one of 'channels_last', .*'NHWC'"),
        ({"batch_size": 5, "drop_remainder": True}, "`batch_size` must be at most 4, .* but is 5"),
    ],
)
def test_bad_arguments_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        ArrayDataset(**({"images": IMAGES, "labels": LABELS} | changed))


@pytest.mark.parametrize("index", [-1, 3])
def test_a_batch_beyond_the_end_is_refused(index):
    with pytest.raises(IndexError, match=f"from 0 to 2.*{index}"):
        ArrayDataset(*numbered_images(), 10)[index]
