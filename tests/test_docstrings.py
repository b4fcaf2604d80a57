"""Every public name is documented in one convention; pytest runs the examples as doctests.

First line: what it is or does.

Args:
    name: type and shape, what it is, with its unit; defaults to 3.
Call arguments:
    ...                                    (of a layer)
Returns:
    ...                                    (of a function that returns something)
Raises:
    ValueError: when ...
Example:
    (lines that run, as in a doctest)
"""

import dataclasses
import inspect
import re

import keras
import pytest

import keras_dla.layers
from tests.backends import on_pytorch
from tests.public_names import ROOMS, cases, parameters

pytestmark = on_pytorch
# What a class of one's own is derived from: docs/extending.md has the examples.
PROTOCOLS = (
    keras_dla.layers.BlockAttention,
    keras_dla.layers.BlockPlace,
    keras_dla.layers.LayerInteraction,
)
TITLES = (
    "Args", "Call arguments", "Attributes", "Returns", "Raises", "Source", "Reference", "Example",
)  # fmt: skip
CASES = cases(*ROOMS)
EMPTY = inspect.Parameter.empty


def sections(value) -> dict[str, str]:
    """Returns the text of every section of a docstring by its title."""
    pattern = (
        rf"^({'|'.join(TITLES)}|Example):[ \n]((?:.*\n)*?)(?=^(?:{'|'.join(TITLES)}|Example):|\Z)"
    )
    return dict(re.findall(pattern, inspect.getdoc(value) + "\n", re.MULTILINE))


def entries(text: str) -> dict[str, str]:
    """Returns the entries of a section of arguments, name by name."""
    found = re.findall(r"^    (\*{0,2}\w+): ((?:.*\n)(?:^     .*\n|^\n)*)", text, re.MULTILINE)
    return dict(found)


def has_fields(value) -> bool:
    return dataclasses.is_dataclass(value) or hasattr(value, "_fields")


def described(value) -> dict[str, str]:
    """Returns what the docstring says of each argument."""
    found = sections(value)
    fields = found.get("Attributes", "") if has_fields(value) else ""
    told = entries(found.get("Args", "")) | entries(fields)
    if (
        inspect.isclass(value)
        and "**kwargs" in told
        and value.__mro__[1].__module__.startswith("keras_dla")
    ):
        told = described(value.__mro__[1]) | told  # the arguments of its base class
    return {name.removeprefix("*"): text for name, text in told.items()}


@pytest.mark.parametrize("value", CASES)
def test_every_argument_is_described(value):
    told = described(value)
    # Keras gives a model's constructor `*args`.
    assert set(parameters(value)) - {"args"} <= set(told), "Args"
    is_layer = inspect.isclass(value) and issubclass(value, keras.layers.Layer)
    if is_layer and value.call.__module__.startswith("keras_dla"):  # else it is Keras's own
        told = entries(sections(value).get("Call arguments", ""))
        assert set(parameters(value.call)) - {"args"} <= set(told), "Call arguments"


@pytest.mark.parametrize("value", CASES)
def test_defaults_are_told(value):
    told = described(value)
    for name, parameter in parameters(value).items():
        if parameter.default is not EMPTY and not has_fields(value):
            assert "default" in told.get(name, ""), name


@pytest.mark.parametrize("value", CASES)
def test_entries_have_one_form(value):
    """Lower case, `name: what.`, as in the convention above."""
    for name, text in described(value).items():
        assert not re.match(r"[A-Z][a-z ]", text) or re.match(r"Keras|NumPy|COCO", text), name
        assert text.rstrip().endswith((".", ":", "```")), name


@pytest.mark.parametrize("value", CASES)
def test_what_is_returned_is_described(value):
    if not inspect.isclass(value):
        returned = inspect.signature(value).return_annotation
        assert returned in (None, "None") or "Returns" in sections(value)


@pytest.mark.parametrize("value", CASES)
def test_there_is_an_example(value):
    assert ">>>" in sections(value).get("Example", "") or value in PROTOCOLS
