"""Dynamic Layer Attention for Keras 3, on TensorFlow, JAX and PyTorch."""

from keras_dla import analysis, data, detection, interop, layers, models, training
from keras_dla.version import __version__

__all__ = [
    "__version__",
    "analysis",
    "data",
    "detection",
    "interop",
    "layers",
    "models",
    "training",
]
