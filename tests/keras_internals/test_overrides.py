"""A private method of Keras is overridden in `keras_internals` alone."""

import importlib
import inspect
import pkgutil

import keras_dla

# What only runs where its backend is installed, or as a program.
ELSEWHERE = (".ops.jax", ".ops.tensorflow", ".ops.torch", "_engine", "__main__", "exporting_")


def _classes():
    for module in pkgutil.walk_packages(keras_dla.__path__, "keras_dla."):
        if not any(part in module.name for part in ELSEWHERE):
            members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
            yield from (c for _, c in members if c.__module__ == module.name)


def _overridden(made: type) -> set[str]:
    private = {name for name in vars(made) if name.startswith("_") and not name.startswith("__")}
    bases = [base for base in made.__mro__[1:] if base.__module__.startswith("keras.")]
    return {name for name in private for base in bases if name in vars(base)}


def test_in_one_room():
    found = {made: _overridden(made) for made in _classes()}
    found = {made: names for made, names in found.items() if names}
    assert found, "no class overrides a private method: the test looks in the wrong place"
    outside = [
        (made.__module__, made.__qualname__, names)
        for made, names in found.items()
        if not made.__module__.startswith("keras_dla.keras_internals.")
    ]
    assert not outside
