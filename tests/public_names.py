"""The public names of each room, for the tests of their docstrings and types."""

import importlib
import inspect

import pytest

ROOMS = ("analysis", "data", "detection", "interop", "layers", "models", "training")


def public_names(room: str) -> dict:
    """Returns the functions and classes that a room exports, by name."""
    module = importlib.import_module(f"keras_dla.{room}")
    values = {name: getattr(module, name) for name in module.__all__}
    return {name: value for name, value in values.items() if callable(value)}


def cases(*rooms: str) -> list:
    """Returns one case for each public name of the rooms."""
    return [
        pytest.param(value, id=f"{room}.{name}")
        for room in sorted(rooms)
        for name, value in public_names(room).items()
    ]


def parameters(function) -> dict[str, inspect.Parameter]:
    """Returns what a caller may give, without `self` and what passes on to Keras."""
    try:
        found = inspect.signature(function).parameters
    except ValueError:  # a built-in constructor, as exceptions have
        return {}
    return {
        name: parameter
        for name, parameter in found.items()
        if name not in ("self", "args") and parameter.kind is not parameter.VAR_KEYWORD
    }
