"""Prevents Keras from importing TensorFlow on other backends, only to look for its objects."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_tensorflow() -> Iterator[None]:
    """Keeps Keras from importing TensorFlow inside the block, unless something has imported it.

    `keras.utils.set_random_seed`, `model.save`, `model.get_compile_config` and the `get_config` of
    Keras's layers do so where it is installed: two seconds and half a gigabyte for each process on
    another backend, which has nothing of it to seed or to save.

    Example:
    >>> import keras
    >>> from keras_dla.keras_internals.without_tensorflow import without_tensorflow
    >>> with without_tensorflow():
    ...     keras.utils.set_random_seed(0)
    """
    try:
        from keras.src.utils.module_utils import tensorflow as module
    except ImportError:
        module = None
    # A Keras that looks for it in another way, or has looked already, is not changed.
    if "tensorflow" in sys.modules or getattr(module, "_available", True) is not None:
        yield
        return
    module._available = False
    try:
        yield
    finally:
        module._available = None
