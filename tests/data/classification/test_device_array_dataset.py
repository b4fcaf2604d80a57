import keras
import numpy as np
import pytest

from keras_dla.data import ArrayDataset, DeviceArrayDataset
from tests.data.classification.test_array_dataset import (
    SIZE,
    assert_same,
    epochs_of,
    numbered_images,
)


def as_numpy(epochs):
    return [[tuple(map(keras.ops.convert_to_numpy, b)) for b in epoch] for epoch in epochs]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("augment", [False, True])
def test_batches_equal_those_on_the_host(data_format, augment):
    options = {"batch_size": 10, "augment": augment, "seed": 3, "initial_epoch": 2}
    options["data_format"] = data_format
    images, labels = numbered_images()
    images = np.ascontiguousarray(images[:, :, :6])  # neither of equal sides, nor one channel
    expected = epochs_of(ArrayDataset(images, labels, **options), 3)
    batches = as_numpy(epochs_of(DeviceArrayDataset(images, labels, **options), 3))
    for epoch, expected_epoch in zip(batches, expected, strict=True):
        assert_same(epoch, expected_epoch)
        assert [[part.dtype for part in batch] for batch in epoch] == [["float32", "int32"]] * 3


def test_validation_images_in_order():
    arrays = numbered_images()
    options = {"batch_size": 10, "augment": False, "shuffle": False}
    expected = [ArrayDataset(*arrays, **options)[index] for index in range(3)]
    dataset = DeviceArrayDataset(*arrays, **options)
    assert_same(as_numpy([[dataset[index] for index in range(3)]])[0], expected)


def test_one_channel_and_a_remainder_dropped():
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 1), "uint8")
    options = {"batch_size": 3, "mean": (0.5,), "std": (0.25,), "drop_remainder": True}
    expected = ArrayDataset(images, np.arange(7), **options)
    dataset = DeviceArrayDataset(images, np.arange(7), **options)
    assert len(dataset) == 2
    assert_same(as_numpy([[dataset[0], dataset[1]]])[0], [expected[0], expected[1]])


def test_batches_are_tensors_of_the_backend():
    batch = DeviceArrayDataset(*numbered_images(), batch_size=10)[0]
    assert all(keras.ops.is_tensor(part) for part in batch)
    if keras.backend.backend() != "tensorflow":
        # What `fit` makes of them must not be copies on the host.
        from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

        dataset = DeviceArrayDataset(*numbered_images(), batch_size=10)
        adapter = PyDatasetAdapter(dataset)
        reader = {"jax": adapter.get_jax_iterator, "torch": adapter.get_torch_dataloader}
        images, _ = next(iter(reader[keras.backend.backend()]()))
        assert type(images) is type(batch[0])


def test_fit_takes_the_same_steps():
    def trained(kind):
        keras.utils.set_random_seed(0)
        dataset = kind(*numbered_images(), batch_size=10)
        shape = tuple(dataset[0][0].shape[1:])
        layers = [keras.layers.Flatten(), keras.layers.Dense(SIZE)]
        model = keras.Sequential([keras.Input(shape), *layers])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(dataset, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    for weight, expected in zip(trained(DeviceArrayDataset), trained(ArrayDataset), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-6, atol=1e-6)


def test_what_the_host_refuses_is_refused_here():
    images, labels = numbered_images()
    with pytest.raises(ValueError, match=r"uint8 array.*float32"):
        DeviceArrayDataset(images.astype("float32"), labels)
    with pytest.raises(IndexError, match=r"from 0 to 2.*3"):
        DeviceArrayDataset(images, labels, batch_size=10)[3]
