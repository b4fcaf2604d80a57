"""Grad-CAM: where in an image a classifier sees a class."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from keras_dla.analysis.checked_images import checked_images
from keras_dla.analysis.class_scores import class_scores
from keras_dla.analysis.feature_maps import data_format_of, feature_map
from keras_dla.analysis.graph import cut
from keras_dla.analysis.map_gradients import gradient, without_gradients
from keras_dla.ops.channels import spatial_axes
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer


def class_activation_maps(
    model: keras.Model,
    images: np.ndarray,
    classes: int | Sequence[int] | np.ndarray | None = None,
    layer: str | keras.layers.Layer | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Returns where in each image the classifier sees a class (Grad-CAM).

    With A the feature map and s the score of the class,

        alpha_k = mean over places (i, j) of  ds / dA[i, j, k]
        map[i, j] = ReLU( sum over k of  alpha_k * A[i, j, k] ),

    resized to the image (bilinear) and divided by its largest entry. A map that is zero everywhere,
    because nothing supports the class, stays zero.

    The score is taken before the softmax, because the softmax's gradient vanishes when the model is
    confident, and mixes in the other classes: a final `Softmax` or `Activation` layer is left out,
    and a final `Dense` layer is taken without its activation. For any other final layer, the output
    is the score.

    Args:
        model: functional or sequential classifier from images to `[batch, classes]`: one of this
            package, or your own. It is run in inference and not changed.
        images: array, `[batch, height, width, channels]` or channels first, normalised as the
            model expects it.
        classes: integers `[batch]`, the class to look for in each image, or one integer for all; a
            model with a single output has only class 0; defaults to `None`, the predicted class.
        layer: layer of the model that outputs a feature map, or its name; for a layer that is
            called several times, the last call counts; defaults to `None`, the last map before
            global pooling.
        batch_size: integer, the number of images per batch; defaults to 32.

    Returns:
        A float32 array `[batch, height, width]` with entries from 0 to 1.

    Raises:
        ValueError: when an argument is not as described, or `layer` is `None` and the model does
            not have exactly one last map.

    Source:
        Grad-CAM, https://arxiv.org/abs/1610.02391

    Example:
    >>> import keras, keras_dla
    >>> import numpy as np
    >>> images = keras.Input((16, 12, 3))
    >>> x = keras.layers.Conv2D(8, 3, strides=2, data_format="channels_last")(images)
    >>> x = keras.layers.GlobalAveragePooling2D(data_format="channels_last")(x)
    >>> model = keras.Model(images, keras.layers.Dense(5, activation="softmax")(x))
    >>> pixels = np.random.default_rng(0).normal(size=(2, 16, 12, 3)).astype("float32")
    >>> keras_dla.analysis.class_activation_maps(model, pixels, classes=[0, 4]).shape
    (2, 16, 12)
    """
    check_positive_integer("batch_size", batch_size)
    scores, finish = class_scores(model)
    images = checked_images(images)
    chosen = _checked_classes(classes, len(images), model.outputs[0].shape[-1])
    features = feature_map(model, layer)
    data_format = data_format_of(model, features)
    before, after = cut(model, features, scores)
    size = tuple(images.shape[axis] for axis in spatial_axes(data_format))
    maps = []

    def scores_of(values: list[Tensor]) -> Tensor:
        return finish(after(values))

    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        with without_gradients():
            values = keras.tree.flatten(before([images[batch]], training=False))
        wanted = None if chosen is None else chosen[batch]
        slopes = _slopes(scores_of, values, wanted)
        maps.append(_maps(values[0], slopes, data_format, size))
    return np.concatenate(maps)


def _slopes(
    scores: Callable[[list[Tensor]], Tensor], values: list[Tensor], classes: list[int] | None
) -> Tensor:
    """Returns the gradients of the scores with respect to `values[0]`, the feature maps."""

    def chosen(features: Tensor) -> Tensor:
        by_class = scores([features, *values[1:]])
        index = ops.argmax(by_class, axis=-1) if classes is None else ops.convert_to_tensor(classes)
        return ops.sum(by_class * ops.one_hot(index, by_class.shape[-1], dtype=by_class.dtype))

    return gradient(chosen, values[0])


def _maps(features: Tensor, slopes: Tensor, data_format: str, size: tuple) -> np.ndarray:
    features, slopes = (_channels_last(x, data_format) for x in (features, slopes))
    weights = ops.mean(slopes, axis=(1, 2), keepdims=True)
    maps = ops.relu(ops.sum(weights * features, axis=-1, keepdims=True))
    maps = ops.image.resize(maps, size, interpolation="bilinear", data_format="channels_last")
    maps = ops.convert_to_numpy(maps)[..., 0]
    largest = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(largest > 0, largest, 1)


def _channels_last(x: Tensor, data_format: str) -> Tensor:
    x = ops.cast(x, "float32")
    return x if data_format == "channels_last" else ops.transpose(x, (0, 2, 3, 1))


def _checked_classes(classes, batch: int, count: int) -> list[int] | None:
    """Returns a list with the class of each image, or `None`."""
    if classes is None:
        return None
    array = ops.convert_to_numpy(classes)
    fits = array.dtype.kind in "iu" and array.shape in [(), (batch,)]
    if not fits or array.min() < 0 or array.max() >= count:
        raise ValueError(
            f"`classes` must be {batch} integers from 0 to {count - 1}, or a single one, but is "
            f"{classes!r}."
        )
    return np.broadcast_to(array, batch).tolist()
