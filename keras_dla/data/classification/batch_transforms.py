"""Transforms of whole batches in tf.data pipelines: mirroring with KerasCV, and normalisation."""

from collections.abc import Callable, Sequence
from types import ModuleType

from keras_dla.data.normalization import scale_and_shift
from keras_dla.utils.optional_imports import import_for
from keras_dla.utils.types import Tensor


def import_keras_cv(tf: ModuleType, caller: str) -> ModuleType:
    """Imports KerasCV, and sets the generator that its layers need although it is not used here.

    With `TF_DETERMINISTIC_OPS=1`, TensorFlow has no generator until one is set.
    """
    keras_cv = import_for(caller, "keras_cv")
    try:
        tf.random.get_global_generator()
    except RuntimeError:
        tf.random.set_global_generator(tf.random.Generator.from_seed(0))
    return keras_cv


def flipper(tf: ModuleType, caller: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns a function that mirrors some images of a batch with KerasCV's `RandomFlip`.

    Its second argument, a boolean tensor with one entry per image, says which ones: by default the
    layer draws from a stateful generator, so that no epoch could be repeated.
    """
    keras_cv = import_keras_cv(tf, caller)
    # Under a global mixed-precision policy the layer would compute in 16 bits.
    layer = keras_cv.layers.RandomFlip("horizontal", dtype="float32")

    def flip(images, flips):
        mirrored = tf.cast(flips, "float32")[:, None]
        return layer.augment_images(
            images, {"flip_horizontals": mirrored, "flip_verticals": tf.zeros_like(mirrored)}
        )

    return flip


def normalizer(
    tf: ModuleType, mean: Sequence[float], std: Sequence[float], data_format: str
) -> Callable[[Tensor], Tensor]:
    """Returns a function that normalises a uint8 batch and converts it to `data_format`."""
    scale, shift = scale_and_shift(mean, std)

    def normalize(images):
        normal = tf.cast(images, "float32") * scale + shift
        return tf.transpose(normal, (0, 3, 1, 2)) if data_format == "channels_first" else normal

    return normalize
