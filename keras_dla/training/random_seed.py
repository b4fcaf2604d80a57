"""Seeds all random numbers used in creating and training a network."""

import keras

from keras_dla.keras_internals.without_tensorflow import without_tensorflow


def set_random_seed(seed: int) -> None:
    """Seeds Python, NumPy and the backend, as `keras.utils.set_random_seed` does.

    That function also imports TensorFlow to seed it, whatever the backend; this one leaves out what
    nobody uses. What is drawn afterwards is the same.

    Args:
        seed: integer, at least 0.

    Example:
    >>> import keras
    >>> from keras_dla.training import set_random_seed
    >>> set_random_seed(0)
    >>> first = keras.random.normal(())
    >>> set_random_seed(0)
    >>> bool(first == keras.random.normal(()))
    True
    """
    with without_tensorflow():
        keras.utils.set_random_seed(seed)
