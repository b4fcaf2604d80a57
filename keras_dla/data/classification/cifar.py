"""CIFAR-10 and CIFAR-100 as a `tf.data.Dataset` that crops and flips with KerasCV."""

import os
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.data.classification.array_dataset import count_batches
from keras_dla.data.classification.augmentation import PADDING, draw_epoch
from keras_dla.data.classification.batch_transforms import flipper, import_keras_cv, normalizer
from keras_dla.data.classification.prepared_folder import find_prepared
from keras_dla.data.classification.tfds_cifar import (
    CIFAR_NAMES,
    import_tensorflow,
    read_prepared,
)
from keras_dla.data.normalization import CIFAR_MEAN, CIFAR_STD
from keras_dla.data.validation import check_count
from keras_dla.utils.validation import check_choice, standardize_data_format

if TYPE_CHECKING:
    import tensorflow as tf

CIFAR_SIZES = {"train": 50_000, "test": 10_000}


def cifar_dataset(
    name: str = "cifar100",
    split: str = "train",
    batch_size: int = 128,
    data_dir: str | os.PathLike | None = None,
    augment: bool | None = None,
    shuffle: bool | None = None,
    seed: int = 0,
    initial_epoch: int = 0,
    drop_remainder: bool = False,
    data_format: str | None = None,
) -> "tf.data.Dataset":
    """CIFAR through tensorflow-datasets and KerasCV, as batches for `model.fit`.

    A shuffled data set never ends: its first `cifar_steps_per_epoch(...)` batches are epoch
    `initial_epoch`, the following ones the next epoch, each with an order, crops and flips of its
    own. Give that number to `model.fit` as `steps_per_epoch`, with `shuffle=False`, because the
    data is shuffled here. A data set that is not shuffled is one pass in the stored order.

    The random choices depend only on `seed` and the epoch, and are those of
    `keras_dla.data.ArrayDataset`: equal arguments give equal batches. It works with every backend.

    Args:
        name: `"cifar10"` or `"cifar100"` (the 100 fine classes); defaults to `"cifar100"`.
        split: `"train"` or `"test"`; defaults to `"train"`.
        batch_size: integer, images per batch. The last batch of an epoch may be smaller; defaults
            to 128.
        data_dir: path of a folder in which tensorflow-datasets has prepared the data set, to which
            nothing is written; or `None` to let tensorflow-datasets download it; defaults to None.
        augment: boolean, whether to pad with 4 black pixels, crop at random and flip; `None` for
            the training split only; defaults to None.
        shuffle: boolean, whether to shuffle and repeat; `None` for the training split only;
            defaults to None.
        seed: integer, at least 0; defaults to 0.
        initial_epoch: integer, the epoch to start with, counted from 0. Give `model.fit` the same;
            defaults to 0.
        drop_remainder: boolean, whether to leave out a last batch that is not full; defaults to
            False.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting; defaults
            to None.

    Returns:
        A `tf.data.Dataset` of pairs `(images, labels)`: float32 `(batch, 32, 32, 3)`, or
        `(batch, 3, 32, 32)` for channels first, and int32 `(batch,)`.

    Raises:
        ValueError: when an argument is not as described above.
        FileNotFoundError: when `data_dir` lacks the data set.
        ImportError: when a package of the extra `data` is not installed.

    Example:
    >>> from keras_dla.data import cifar_dataset, cifar_steps_per_epoch
    >>> train = cifar_dataset("cifar100", "train", batch_size=128)  # doctest: +SKIP
    >>> test = cifar_dataset("cifar100", "test", batch_size=500)  # doctest: +SKIP
    >>> steps = cifar_steps_per_epoch("train", batch_size=128)
    >>> model.fit(
    ...     train, steps_per_epoch=steps, shuffle=False, validation_data=test, epochs=180
    ... )  # doctest: +SKIP
    """
    check_choice("name", name, CIFAR_NAMES)
    cifar_steps_per_epoch(split, batch_size, drop_remainder)
    seed = check_count("seed", seed, minimum=0)
    initial_epoch = check_count("initial_epoch", initial_epoch, minimum=0)
    data_format = standardize_data_format(data_format)
    augment = split == "train" if augment is None else bool(augment)
    shuffle = split == "train" if shuffle is None else bool(shuffle)
    if data_dir is not None:
        find_prepared(name, data_dir)
    tf = import_tensorflow("cifar_dataset")
    transform = _crop_and_flip(tf) if augment else lambda images, *_: images
    images, labels = read_prepared("cifar_dataset", name, split, data_dir)
    with tf.device("CPU"):
        draws = _draws(
            tf, len(images), seed, initial_epoch, batch_size, drop_remainder, shuffle=shuffle
        )
        load = _loader(tf, images, labels)
        normalize = normalizer(tf, CIFAR_MEAN, CIFAR_STD, data_format)

        def batch(order, tops, lefts, flips):
            batch_images, batch_labels = load(order)
            return normalize(transform(batch_images, tops, lefts, flips)), batch_labels

        return draws.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def cifar_steps_per_epoch(
    split: str = "train", batch_size: int = 128, drop_remainder: bool = False
) -> int:
    """Returns the number of batches per epoch of `cifar_dataset`, for `model.fit`.

    Args:
        split: `"train"` or `"test"`; defaults to `"train"`.
        batch_size: integer, images per batch; defaults to 128.
        drop_remainder: boolean, whether a last batch that is not full is left out; defaults to
            False.

    Returns:
        The number of batches, an int.

    Raises:
        ValueError: when an argument is not as described above, or there would be no batch.

    Example:
    >>> from keras_dla.data import cifar_steps_per_epoch
    >>> cifar_steps_per_epoch("train", batch_size=128)
    391
    """
    check_choice("split", split, tuple(CIFAR_SIZES))
    size = CIFAR_SIZES[split]
    return count_batches(size, check_count("batch_size", batch_size, minimum=1), drop_remainder)


def _draws(tf, size, seed, initial_epoch, batch_size, drop_remainder, shuffle):
    """Returns a data set of `EpochDraw`s, one per batch; endless if `shuffle`."""

    def draw(epoch):
        return tuple(draw_epoch(size, seed, int(epoch), shuffle))

    def epoch_of_batches(epoch):
        drawn = tf.numpy_function(
            draw, [epoch], (tf.int64, tf.int64, tf.int64, tf.bool), stateful=False
        )
        entries = tuple(tf.ensure_shape(entry, (size,)) for entry in drawn)
        return tf.data.Dataset.from_tensor_slices(entries).batch(batch_size, drop_remainder)

    last_epoch = np.iinfo("int64").max if shuffle else initial_epoch + 1
    epochs = tf.data.Dataset.range(initial_epoch, last_epoch)
    steps = count_batches(size, batch_size, drop_remainder)
    cardinality = tf.data.INFINITE_CARDINALITY if shuffle else steps
    return epochs.flat_map(epoch_of_batches).apply(
        tf.data.experimental.assert_cardinality(cardinality)
    )


def _loader(tf, images, labels):
    images, labels = tf.constant(images), tf.constant(labels.astype("int32"))
    return lambda order: (tf.gather(images, order), tf.gather(labels, order))


def _crop_and_flip(tf):
    """Pads, crops and flips a batch with KerasCV's layers, as `augmentation.crop_and_flip` does.

    By default, the layers differ from the usual recipe. `RandomCrop` samples between pixels, so
    that two crops in five skip or repeat a row or column, and draws the outermost offsets half as
    often as the others; and both layers use a stateful generator (for seed 0, TensorFlow's global
    one), so that no epoch can be repeated. Therefore the choices come from `draw_epoch`, and the
    layers apply them.
    """
    keras_cv = import_keras_cv(tf, "cifar_dataset")
    flip = flipper(tf, "cifar_dataset")

    def relative(offsets):
        # RandomCrop maps [0, 1] to offsets of 0 to 2 * PADDING - 0.2, and then each pixel to the
        # nearest one, so these fractions give whole offsets. At exactly 1 a rounding error could
        # reach beyond the last row, which RandomCrop would fill with black.
        fractions = tf.cast(offsets, "float32") / (2 * PADDING)
        return tf.minimum(fractions, 0.999)[:, None]

    def transform(images, tops, lefts, flips):
        _, height, width, _ = images.shape
        # A global mixed-precision policy would round the offsets to bfloat16.
        crop = keras_cv.layers.RandomCrop(height, width, dtype="float32")
        padding = ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0))
        crops = crop.augment_images(
            tf.pad(images, padding), {"tops": relative(tops), "lefts": relative(lefts)}
        )
        return flip(tf.ensure_shape(crops, images.shape), flips)

    return transform
