"""ImageNet, or images prepared like it, as a `tf.data.Dataset`."""

import functools
import os
from typing import TYPE_CHECKING

import numpy as np

from keras_dla.data.classification.array_dataset import count_batches
from keras_dla.data.classification.batch_transforms import flipper, normalizer
from keras_dla.data.classification.random_resized_crop import random_window
from keras_dla.data.classification.tfds_cifar import import_tensorflow
from keras_dla.data.classification.tfds_images import PreparedImages
from keras_dla.data.normalization import IMAGENET_MEAN, IMAGENET_STD
from keras_dla.data.validation import check_count
from keras_dla.utils.validation import standardize_data_format

if TYPE_CHECKING:
    import tensorflow as tf


def imagenet_dataset(
    split: str = "train",
    batch_size: int = 256,
    data_dir: str | os.PathLike | None = None,
    name: str = "imagenet2012",
    image_size: int = 224,
    augment: bool | None = None,
    shuffle: bool | None = None,
    seed: int = 0,
    initial_epoch: int = 0,
    drop_remainder: bool = False,
    shuffle_buffer: int = 8192,
    data_format: str | None = None,
    initial_step: int = 0,
) -> "tf.data.Dataset":
    """ImageNet through tensorflow-datasets and KerasCV, as batches for `model.fit`.

    An image of the training split is cropped at random (an area of 0.08 to 1 of its own, a ratio of
    width to height of 3/4 to 4/3), resized and mirrored with probability 1/2. An image of any other
    split is resized so that its shorter side is 8/7 of `image_size` (256 for 224), and its centre
    is cropped. Resizing is bilinear, with antialiasing when the image becomes smaller, as in Pillow
    and torchvision. Pixels are normalised with ImageNet's mean and deviation.

    A shuffled data set never ends: its first `imagenet_steps_per_epoch(...)` batches are epoch
    `initial_epoch`, the following ones the next epoch, each with an order, crops and flips of its
    own. Give that number to `model.fit` as `steps_per_epoch`, with `shuffle=False`, because the
    data is shuffled here. A data set that is not shuffled is one pass in the stored order.

    The random choices depend only on `seed`, the epoch and the position in it. Every backend gets
    the same batches, which TensorFlow prepares on the CPU. The stored files are read in a random
    order, 16 at a time, and the next image is drawn from a buffer of `shuffle_buffer` images.

    Args:
        split: string, such as `"train"` or `"validation"`, or a part of a split such as
            `"train[:10%]"`. ImageNet's own test split has no labels; defaults to `"train"`.
        batch_size: integer, images per batch. The last batch of an epoch may be smaller; defaults
            to 256.
        data_dir: path of the folder in which tensorflow-datasets has prepared the data set, to
            which nothing is written; or `None` for tensorflow-datasets' default folder; defaults to
            None.
        name: string, `"imagenet2012"` or any data set of tensorflow-datasets with the features
            `image` and `label`, with its configuration, such as `"imagenette/320px-v2"`; defaults
            to `"imagenet2012"`.
        image_size: integer, height and width of the images in the batches; defaults to 224.
        augment: boolean, whether to crop at random and flip; `None` for the training split only;
            defaults to None.
        shuffle: boolean, whether to shuffle and repeat; `None` for the training split only;
            defaults to None.
        seed: integer, at least 0; defaults to 0.
        initial_epoch: integer, the epoch to start with, counted from 0. Give `model.fit` the same;
            defaults to 0.
        drop_remainder: boolean, whether to leave out a last batch that is not full; defaults to
            False.
        shuffle_buffer: integer, the number of image files that are kept in memory for shuffling;
            ImageNet's are about 0.11 MB each; defaults to 8192.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting; defaults
            to None.
        initial_step: integer, the number of batches of the first epoch to skip. Their images are
            read, but not decoded; defaults to 0.

    Returns:
        A `tf.data.Dataset` of pairs `(images, labels)`: float32
        `(batch, image_size, image_size, 3)`, or `(batch, 3, image_size, image_size)` for
        channels first, and int32 `(batch,)`.

    Raises:
        ValueError: when an argument is not as described above.
        FileNotFoundError: when the data set is not prepared in `data_dir`.
        ImportError: when a package of the extra `data` is not installed.

    Example:
    >>> from keras_dla.data import imagenet_dataset, imagenet_steps_per_epoch
    >>> train = imagenet_dataset("train", batch_size=256)  # doctest: +SKIP
    >>> validation = imagenet_dataset("validation", batch_size=256)  # doctest: +SKIP
    >>> steps = imagenet_steps_per_epoch("train", batch_size=256)  # doctest: +SKIP
    >>> model.fit(
    ...     train, steps_per_epoch=steps, shuffle=False, validation_data=validation, epochs=100
    ... )  # doctest: +SKIP
    """
    batch_size = check_count("batch_size", batch_size, minimum=1)
    image_size = check_count("image_size", image_size, minimum=1)
    seed = check_count("seed", seed, minimum=0)
    initial_epoch = check_count("initial_epoch", initial_epoch, minimum=0)
    shuffle_buffer = check_count("shuffle_buffer", shuffle_buffer, minimum=1)
    initial_step = check_count("initial_step", initial_step, minimum=0)
    data_format = standardize_data_format(data_format)
    source = PreparedImages("imagenet_dataset", name, data_dir)
    steps = count_batches(source.size(split), batch_size, drop_remainder)
    augment = split.startswith("train") if augment is None else bool(augment)
    shuffle = split.startswith("train") if shuffle is None else bool(shuffle)
    tf = import_tensorflow("imagenet_dataset")
    load = _random_crop(tf, image_size) if augment else _central_crop(tf, image_size)
    flip = flipper(tf, "imagenet_dataset") if augment else lambda images, _: images
    normalize = normalizer(tf, IMAGENET_MEAN, IMAGENET_STD, data_format)
    ordering, cropping = _streams(seed)

    def finish(images, flips, labels):
        return normalize(flip(images, flips)), tf.cast(labels, "int32")

    def epoch_of_batches(epoch):
        crops = tf.random.fold_in(cropping, epoch)

        def one(place, record):
            encoded, label = record
            return *load(encoded, tf.random.fold_in(crops, place)), label

        seeds = _two_numbers(tf, tf.random.fold_in(ordering, epoch)) if shuffle else None
        records = source.records(split, seeds, shuffle_buffer).enumerate()
        left_out = tf.where(tf.equal(epoch, initial_epoch), initial_step * batch_size, 0)
        records = records.skip(tf.cast(left_out, "int64"))
        images = records.map(one, num_parallel_calls=tf.data.AUTOTUNE)
        return images.batch(batch_size, drop_remainder).map(finish, tf.data.AUTOTUNE)

    last_epoch = np.iinfo("int64").max if shuffle else initial_epoch + 1
    cardinality = tf.data.INFINITE_CARDINALITY if shuffle else max(0, steps - initial_step)
    with tf.device("CPU"):
        epochs = tf.data.Dataset.range(initial_epoch, last_epoch)
        batches = epochs.flat_map(epoch_of_batches).prefetch(tf.data.AUTOTUNE)
        return batches.apply(tf.data.experimental.assert_cardinality(cardinality))


def imagenet_steps_per_epoch(
    split: str = "train",
    batch_size: int = 256,
    data_dir: str | os.PathLike | None = None,
    name: str = "imagenet2012",
    drop_remainder: bool = False,
) -> int:
    """Returns the number of batches per epoch of `imagenet_dataset`, for `model.fit`.

    Args:
        split: string, as in `imagenet_dataset`; defaults to `"train"`.
        batch_size: integer, images per batch; defaults to 256.
        data_dir: path, as in `imagenet_dataset`; defaults to None.
        name: string, as in `imagenet_dataset`; defaults to `"imagenet2012"`.
        drop_remainder: boolean, whether a last batch that is not full is left out; defaults to
            False.

    Returns:
        The number of batches, an int; 5005 for ImageNet's training split at batch 256.

    Raises:
        ValueError: when an argument is not as described above, or there would be no batch.
        FileNotFoundError: when the data set is not prepared in `data_dir`.
        ImportError: when a package of the extra `data` is not installed.

    Example:
    >>> from keras_dla.data import imagenet_steps_per_epoch
    >>> imagenet_steps_per_epoch("train", batch_size=256)  # doctest: +SKIP
    5005
    """
    batch_size = check_count("batch_size", batch_size, minimum=1)
    size = PreparedImages("imagenet_steps_per_epoch", name, data_dir).size(split)
    return count_batches(size, batch_size, drop_remainder)


def imagenet_classes(data_dir: str | os.PathLike | None = None, name: str = "imagenet2012") -> int:
    """Returns the number of classes of a data set that `imagenet_dataset` reads.

    Args:
        data_dir: path, as in `imagenet_dataset`; defaults to None.
        name: string, as in `imagenet_dataset`; defaults to `"imagenet2012"`.

    Returns:
        The number of classes, an int; 1000 for ImageNet.

    Raises:
        ValueError: when `name` is not as described there.
        FileNotFoundError: when the data set is not prepared in `data_dir`.
        ImportError: when a package of the extra `data` is not installed.

    Example:
    >>> from keras_dla.data import imagenet_classes
    >>> imagenet_classes()  # doctest: +SKIP
    1000
    """
    return PreparedImages("imagenet_classes", name, data_dir).classes


def _streams(seed):
    """Returns two seeds for TensorFlow's stateless generator: for order, and crops and flips."""
    return np.random.SeedSequence(seed).generate_state(4, "uint64").view("int64").reshape(2, 2)


def _two_numbers(tf, seed):
    return tf.random.stateless_uniform((2,), seed, maxval=tf.int64.max, dtype="int64")


def _random_crop(tf, size):
    decode = _decoder(tf)

    def load(encoded, seed):
        window_seed, flip_seed = tf.unstack(tf.random.split(seed))
        window = functools.partial(random_window, tf, seed=window_seed)
        flip = tf.random.stateless_uniform((), flip_seed) < 0.5
        return _resize(tf, decode(encoded, window), (size, size)), flip

    return load


def _central_crop(tf, size):
    decode = _decoder(tf)
    shorter = size * 8 // 7

    def load(encoded, _):
        image = decode(encoded, lambda height, width: tf.stack([0, 0, height, width]))
        rows, columns = tf.unstack(tf.shape(image)[:2])
        # Rounded down, as in torchvision.
        sides = tf.stack([rows, columns]) * shorter // tf.minimum(rows, columns)
        image = _resize(tf, image, sides)
        # Rounded to the nearest pixel, halves to the even one.
        top, left = tf.unstack(tf.cast(tf.round((sides - size) / 2), "int32"))
        image = image[top : top + size, left : left + size]
        return tf.ensure_shape(image, (size, size, 3)), False

    return load


def _resize(tf, image, sides):
    # KerasCV's layers do not antialias when an image becomes smaller.
    resized = tf.image.resize(image, sides, antialias=True)
    return tf.saturate_cast(tf.round(resized), "uint8")


def _decoder(tf):
    """Returns a function that decodes the part of an image that `window` chooses from its size."""

    def decode(encoded, window):
        def jpeg():
            rows, columns, _ = tf.unstack(tf.io.extract_jpeg_shape(encoded))
            # For a JPEG, only the part itself needs to be decoded.
            return tf.io.decode_and_crop_jpeg(encoded, window(rows, columns), channels=3)

        def other():
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            rows, columns, _ = tf.unstack(tf.shape(image))
            top, left, height, width = tf.unstack(window(rows, columns))
            return image[top : top + height, left : left + width]

        return tf.cond(tf.io.is_jpeg(encoded), jpeg, other)

    return decode
