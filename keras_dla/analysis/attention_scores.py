"""The attention scores among the layers of each stage (what Figure 2 of the paper shows)."""

import keras
import numpy as np

from keras_dla.analysis.stages import measure_stages


def attention_scores(
    model: keras.Model, images: np.ndarray, batch_size: int = 32
) -> dict[str, np.ndarray]:
    """Returns how much every layer of a stage reads of each layer up to itself.

    The model is run as it is, one batch after the other; it may be loaded from a file, or be a
    model of your own, functional or subclassed, that calls this package's layers.

    For the base versions (MRLA-B, DLA-B) the scores are the softmax of Eq. 2, and a row sums
    to 1. In DLA-B the values are scaled besides; see `feature_scales`.

    For the light versions (MRLA-L, DLA-L) they are the weights of the recurrence of Eq. 3,
    unrolled as if it were an attention over all layers:

        score[l, l] = gate^l
        score[l, m] = gate^m * product of (lambda^j * d^j) over j = m+1..l,      m < l

    with d = 1 in the static MRLA-L. The product is taken channel by channel and then averaged
    over the channels of a head. Lambda is a free weight, so scores can be negative and rows sum to
    anything. In the formulations `"official"` and `"verbatim"` these scores are an approximation
    where the layers were called with a shortcut: the memory of a layer then is its block's
    shortcut, and not the output of the recurrence. In DLA-L, the memory also passes a depthwise
    convolution there, which is left out here.

    Args:
        model: a Keras model that holds `BaseLayerAttention`, `LightLayerAttention` or
            `DynamicLayerAttention` at any level.
        images: `[batch, height, width, channels]` or channels first, normalised as the model
            expects it.
        batch_size: integer, how many images run at once.

    Returns:
        A dictionary from the name of each layer of attention, in the order of the stages, to an
        array `[batch, heads, layers, layers]`. A row is the layer that asks, a column the layer
        that it reads; above the diagonal are zeros. If one layer serves several times, the later
        passes are numbered: `"name_2"`.

    Raises:
        ValueError: if the model holds no layer attention, or `images` are not a batch of images.

    Example:
    >>> import numpy as np
    >>> import keras_dla
    >>> model = keras_dla.models.DLAResNet20(
    ...     classes=10, variant="base", data_format="channels_last"
    ... )
    >>> scores = keras_dla.analysis.attention_scores(model, np.ones((1, 32, 32, 3), "float32"))
    >>> for name, array in scores.items():
    ...     print(name, array.shape)
    stage1_interaction (1, 2, 2, 2)
    stage2_interaction (1, 4, 2, 2)
    stage3_interaction (1, 8, 2, 2)
    """
    return measure_stages(model, images, batch_size, scores_of_stage)


def scores_of_stage(layers: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Returns the scores `[batch, heads, layers, layers]` from what each layer reported."""
    return _base_scores(layers) if "scores" in layers[0] else _light_scores(layers)


def _base_scores(layers):
    batch, _, heads = layers[0]["scores"].shape
    scores = np.zeros((batch, heads, len(layers), len(layers)), layers[0]["scores"].dtype)
    for asking, layer in enumerate(layers):
        scores[:, :, asking, : asking + 1] = layer["scores"].swapaxes(1, 2)
    return scores


def _light_scores(layers):
    gates = np.stack([layer["gate"] for layer in layers], axis=1)
    batch, depth, heads = gates.shape
    scores = np.zeros((batch, heads, depth, depth), gates.dtype)
    # What is left of each layer's value at the layer that asks, by head and channel.
    left = np.ones((batch, depth, heads, layers[0]["decay"].size // heads), gates.dtype)
    for asking, layer in enumerate(layers):
        factor = layer["decay"] * layer.get("scales", 1)
        left[:, :asking] *= factor.reshape(-1, 1, *left.shape[2:])
        read = slice(asking + 1)
        scores[:, :, asking, read] = (gates[:, read] * left[:, read].mean(-1)).swapaxes(1, 2)
    return scores
