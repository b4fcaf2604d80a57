import numpy as np
import pytest

from keras_dla import layers

KINDS = (
    layers.SqueezeExcitation,
    layers.EfficientChannelAttention,
    layers.ConvolutionalBlockAttention,
    layers.DoubleAttention,
    layers.GlobalContext,
    layers.NonLocal,
)


@pytest.mark.parametrize("kind", KINDS)
def test_other_channels_than_the_first_are_refused_by_keras(kind):
    """PyTorch itself would speak of matrices and groups."""
    layer = kind(data_format="channels_last")
    layer(np.ones((1, 8, 8, 32), "float32"))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 32"):
        layer(np.ones((1, 8, 8, 64), "float32"))
