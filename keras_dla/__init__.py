"""Dynamic Layer Attention for Keras 3, on TensorFlow, JAX and PyTorch.

`import keras_dla` registers every class with Keras, so that `keras.saving.load_model` finds them.
It can also be imported if Keras has no backend; anything that needs one then says so in a sentence.
"""

from typing import Any

from keras_dla.utils.backends import check_keras, keras_error
from keras_dla.version import __version__

if keras_error() is None:
    from keras_dla import analysis, data, detection, interop, layers, models, training
    from keras_dla.models.loading import load_model

__all__ = [
    "__version__",
    "analysis",
    "data",
    "detection",
    "interop",
    "layers",
    "load_model",
    "models",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in __all__:  # `layers` and the other rooms were not imported above
        check_keras()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
