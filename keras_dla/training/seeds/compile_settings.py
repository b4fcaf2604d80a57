"""The compile settings of a model, by which two runs can be compared."""

import keras

from keras_dla.keras_internals.without_tensorflow import without_tensorflow

PARTS = ("optimizer", "loss", "loss_weights")
# Names contain counters of the process, so they differ between equal models.
LEFT_OUT = ("name", "build_config", "registered_name", "module")


def compiled_settings(model: keras.Model) -> dict:
    """Returns the optimizer, its schedule and the loss of a compiled model.

    Args:
        model: a compiled model.

    Returns:
        A dictionary of JSON values; its keys are paths such as
        `"optimizer.learning_rate.factor"`.

    Example:
    >>> import keras
    >>> from keras_dla.training.seeds.compile_settings import compiled_settings
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(momentum=0.5), "mse")
    >>> settings = compiled_settings(model)
    >>> settings["optimizer.class_name"], settings["optimizer.momentum"], settings["loss"]
    ('SGD', 0.5, 'mse')
    """
    with without_tensorflow():
        config = model.get_compile_config()
    return {
        path: value
        for part in PARTS
        for path, value in _flat(part, config[part])
        if value is not None
    }


def _flat(path, value):
    """Yields pairs of a path and a value; an object's arguments have paths below its own."""
    if not isinstance(value, dict):
        yield path, value
        return
    for name, entry in value.items():
        if name not in LEFT_OUT:
            yield from _flat(path if name == "config" else f"{path}.{name}", entry)
