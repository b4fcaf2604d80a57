"""The scales d with which dynamic layer attention refreshes the features of old layers (Eq. 6)."""

import keras
import numpy as np

from keras_dla.analysis.stages import LayerReport, measure_stages


def feature_scales(
    model: keras.Model, images: np.ndarray, batch_size: int = 32
) -> dict[str, np.ndarray]:
    """Returns the scales d of every channel, for each layer that refreshes.

    Args:
        model: Keras model that contains `DynamicLayerAttention` at any level.
        images: array, `[batch, height, width, channels]` or channels first, normalised as the
            model expects it.
        batch_size: integer, the number of images per batch; defaults to 32.

    Returns:
        A dictionary from the name of each dynamic layer, in the order of the stages, to an array.
        In light mode, in which one map represents all old layers, the shape is `[batch, layers,
        channels]`. In base mode it is `[batch, layers, layers, channels]`, with the refreshing
        layer in the rows and the refreshed one (its values) in the columns, and ones where nothing
        is refreshed. Static layers are left out.

    Raises:
        ValueError: when the model contains no layer attention, or `images` are not a batch of
            images.

    Source:
        Eq. 6 of https://arxiv.org/abs/2406.13392

    Example:
    >>> import numpy as np
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet20(classes=10, data_format="channels_last")
    >>> scales = keras_dla.analysis.feature_scales(model, np.ones((1, 32, 32, 3), "float32"))
    >>> scales["stage3_interaction"].shape
    (1, 2, 256)
    """
    stages = measure_stages(model, images, batch_size, scales_of_stage)
    return {name: stage["scales"] for name, stage in stages.items()}


def scales_of_stage(layers: list[LayerReport]) -> dict[str, np.ndarray] | None:
    """Returns the scales as `"scales"` from the observations; `None` if the layers are static."""
    if all("scales" in layer for layer in layers):
        return {"scales": np.stack([layer["scales"] for layer in layers], axis=1)}
    # The first layer of the base mode has nothing to refresh yet.
    if not all("scales" in layer for layer in layers[1:]) or len(layers) == 1:
        return None
    batch, _, channels = layers[1]["scales"].shape
    scales = np.ones((batch, len(layers), len(layers), channels), layers[1]["scales"].dtype)
    for index, layer in enumerate(layers[1:], start=1):
        scales[:, index, :index] = layer["scales"]
    return {"scales": scales}
