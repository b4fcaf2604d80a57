"""What the backend and its device can do: the only place in the layers that asks."""

import functools

import keras


@functools.cache
def lacks_channels_first() -> bool:
    """Returns whether convolutions exist in channels-last only: TensorFlow without a GPU."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")
