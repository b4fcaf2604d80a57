import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_dla.data import ArrayDataset, cifar_dataset, cifar_steps_per_epoch, load_cifar_arrays
from keras_dla.data.classification.augmentation import PADDING, EpochDraw, crop_and_flip
from keras_dla.data.classification.cifar import _crop_and_flip
from tests.backends import on_pytorch
from tests.data.shared import shared_path

SIZES = {"train": 21, "test": 7}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder in which tensorflow-datasets has prepared a CIFAR-100 of a few images."""
    tf = pytest.importorskip("tensorflow")
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("keras_cv")
    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    rng = np.random.default_rng(0)
    splits = {
        split: tf.data.Dataset.from_tensor_slices(
            {"image": rng.integers(0, 256, (size, 32, 32, 3), "uint8"), "label": np.arange(size)}
        )
        for split, size in SIZES.items()
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name="cifar100",
        version="3.0.2",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(32, 32, 3)),
                "label": tfds.features.ClassLabel(num_classes=100),
            }
        ),
        split_datasets=splits,
        data_dir=folder,
        disable_shuffling=True,
    )
    return folder


def batches(dataset, count):
    return [(x.numpy(), y.numpy()) for x, y in itertools.islice(dataset, count)]


def assert_same(one, other):
    for (images, labels), (other_images, other_labels) in zip(one, other, strict=True):
        np.testing.assert_allclose(images, other_images, atol=2e-6)
        np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("drop_remainder", [False, True])
def test_batches_equal_those_in_memory(prepared, data_format, drop_remainder):
    options = {
        "batch_size": 8,
        "seed": 3,
        "initial_epoch": 2,
        "data_format": data_format,
        "drop_remainder": drop_remainder,
    }
    in_memory = ArrayDataset(*load_cifar_arrays(data_dir=prepared)[0], **options)
    expected = []
    for _ in range(3):
        in_memory.on_epoch_begin()
        expected += [in_memory[index] for index in range(len(in_memory))]
        in_memory.on_epoch_end()
    assert_same(batches(cifar_dataset(data_dir=prepared, **options), len(expected)), expected)


def test_keras_cv_cuts_every_offset_exactly():
    tf = pytest.importorskip("tensorflow")
    pytest.importorskip("keras_cv")
    offsets = 2 * PADDING + 1
    tops, lefts = np.divmod(np.arange(2 * offsets**2) // 2, offsets)
    flips = np.arange(2 * offsets**2) % 2 == 1
    images = np.random.default_rng(0).integers(1, 256, (len(flips), 32, 32, 3), "uint8")
    draw = EpochDraw(np.arange(len(flips)), tops, lefts, flips)
    crops = _crop_and_flip(tf)(tf.constant(images), *map(tf.constant, draw[1:]))
    np.testing.assert_array_equal(crops, crop_and_flip(images, draw))


def test_resuming_continues_an_uninterrupted_run(prepared):
    options = {"data_dir": prepared, "batch_size": 8, "seed": 1}
    whole = batches(cifar_dataset(**options), 12)
    assert_same(batches(cifar_dataset(initial_epoch=2, **options), 6), whole[6:])
    assert_same(batches(cifar_dataset(**options), 12), whole)
    for epoch in (whole[:3], whole[3:6]):
        assert sorted(np.concatenate([y for _, y in epoch])) == list(range(SIZES["train"]))
    assert np.any(whole[0][1] != whole[3][1])


@pytest.mark.parametrize("seed", [1, 2])
def test_seeds_differ_from_seed_zero(prepared, seed):
    one, other = (
        batches(cifar_dataset(data_dir=prepared, batch_size=21, seed=s), 1)[0] for s in (0, seed)
    )
    assert np.any(one[0] != other[0])
    assert np.any(one[1] != other[1])


def test_a_mixed_precision_policy_leaves_the_pixels_alone(prepared):
    options = {"data_dir": prepared, "batch_size": 21}
    expected = batches(cifar_dataset(**options), 1)
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        assert_same(batches(cifar_dataset(**options), 1), expected)
    finally:
        keras.config.set_dtype_policy(before)


def test_the_test_split_is_one_pass_in_order(prepared):
    dataset = cifar_dataset(split="test", data_dir=prepared, batch_size=3)
    images, labels = load_cifar_arrays(data_dir=prepared)[1]
    expected = ArrayDataset(images, labels, 3, augment=False, shuffle=False)
    assert int(dataset.cardinality()) == len(expected) == 3
    for _ in range(2):
        assert_same(batches(dataset, None), list(expected))


def test_fit_and_evaluate(prepared):
    train = cifar_dataset(data_dir=prepared, batch_size=8)
    test = cifar_dataset(split="test", data_dir=prepared, batch_size=3)
    assert train.element_spec[1].dtype == "int32"
    shape = train.element_spec[0].shape[1:]
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(100)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(
        train, steps_per_epoch=3, epochs=2, shuffle=False, validation_data=test, verbose=0
    )
    assert len(history.history["val_loss"]) == 2
    assert np.all(np.isfinite(history.history["loss"]))


def test_a_folder_without_the_data_set_is_named_and_left_alone(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        for function in (cifar_dataset, load_cifar_arrays):
            with pytest.raises(FileNotFoundError, match=f"`data_dir`.*cifar10.*{folder.name}"):
                function("cifar10", data_dir=folder)
    assert list(tmp_path.iterdir()) == []


def test_reading_writes_nothing(prepared):
    def snapshot():
        return sorted((str(p), p.stat().st_mtime_ns) for p in prepared.rglob("*"))

    before = snapshot()
    cifar_dataset(data_dir=prepared)
    assert snapshot() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "imagenet"}, "`name` must be one of 'cifar10', 'cifar100', but is 'imagenet'"),
        ({"split": "validation"}, "`split` must be one of 'train', 'test', but is 'validation'"),
        ({"batch_size": 0}, "`batch_size`.*at least 1.*0"),
        ({"seed": -1}, "`seed`.*at least 0.*-1"),
        ({"initial_epoch": 1.5}, "`initial_epoch`.*integer.*1.5"),
        ({"data_format": "first"}, "`data_format` must be.*'first'"),
        (
            {"batch_size": 50_001, "drop_remainder": True},
            "at most 50000, .*50001",
        ),
    ],
)
def test_bad_arguments_are_named_before_any_work(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        cifar_dataset(**({"data_dir": tmp_path / "nowhere"} | arguments))


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        (("train", 128), 391),
        (("train", 128, True), 390),
        (("test", 500), 20),
        (("test", 10_000, True), 1),
    ],
)
def test_steps_per_epoch(arguments, steps):
    assert cifar_steps_per_epoch(*arguments) == steps


def test_the_real_test_split():
    folder = shared_path("data", "tensorflow_datasets")
    pytest.importorskip("tensorflow_datasets")
    dataset = cifar_dataset("cifar100", "test", batch_size=2500, data_dir=folder)
    images, labels = (np.concatenate(part) for part in zip(*batches(dataset, None), strict=True))
    np.testing.assert_array_equal(np.bincount(labels), np.full(100, 100))
    # Normalised with CIFAR-10's statistics, CIFAR-100 comes out near zero mean and unit deviation.
    assert abs(images.mean()) < 0.2
    assert abs(images.std() - 1.3) < 0.2


@on_pytorch
def test_nothing_is_printed_or_warned_of(prepared):
    program = (
        "import sys, keras_dla.data as data\n"
        "data.load_cifar_arrays(data_dir=sys.argv[1])\n"
        "dataset = data.cifar_dataset(data_dir=sys.argv[1], batch_size=8)\n"
        "print(sum(len(labels) for _, labels in dataset.take(3)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(prepared)],
        # TensorFlow's own start-up lines are not ours.
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(SIZES["train"])
    assert "warn" not in done.stderr.replace("WARNING: All log messages before absl", "").lower()


CROP_AND_FLIP = """
import tensorflow as tf
from keras_dla.data.classification.cifar import _crop_and_flip
choices = [tf.constant([value] * 2) for value in (3, 5, True)]
print(_crop_and_flip(tf)(tf.zeros((2, 8, 8, 3), "uint8"), *choices).shape)
"""


@on_pytorch
def test_batches_are_made_under_deterministic_operations_too():
    """As docs/how-to/many-devices.md recommends, for runs that TensorFlow repeats exactly."""
    pytest.importorskip("keras_cv")
    found = subprocess.run(
        [sys.executable, "-c", CROP_AND_FLIP],
        env=os.environ | {"TF_DETERMINISTIC_OPS": "1"},
        capture_output=True,
        text=True,
    )
    assert found.stdout == "(2, 8, 8, 3)\n", found.stderr[-2000:]
