"""Public functions and methods say the type of every argument and of what they return."""

import ast
from pathlib import Path

import pytest

import keras_dla
from tests.backends import on_pytorch

pytestmark = on_pytorch
SPECIAL = ("__init__", "__call__")
PACKAGE = Path(keras_dla.__file__).parent
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())


def functions(node: ast.AST):
    """Yields the public functions of a module and the public methods of its public classes."""
    for inside in node.body:
        public = not inside.name.startswith("_") if hasattr(inside, "name") else False
        if isinstance(inside, ast.FunctionDef) and (public or inside.name in SPECIAL):
            yield inside
        elif isinstance(inside, ast.ClassDef) and public:
            yield from functions(inside)


def untyped(function: ast.FunctionDef) -> list[str]:
    """Returns what of a function has no type."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    missing = [one.arg for one in named if one and not one.annotation]
    returned = function.returns or function.name == "__init__"
    return [name for name in missing if name not in ("self", "cls")] + ["return"] * (not returned)


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_are_typed(room):
    found = [
        f"{path.relative_to(PACKAGE)}:{function.lineno} {function.name}: {', '.join(missing)}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for function in functions(ast.parse(path.read_text("utf-8")))
        if (missing := untyped(function))
    ]
    assert not found, "\n".join(found)
