"""Dynamic Layer Attention for Keras 3, on TensorFlow, JAX and PyTorch."""

from keras_dla import analysis, data, interop, layers, models, training
from keras_dla.version import __version__

__all__ = ["__version__", "analysis", "data", "interop", "layers", "models", "training"]
