"""Imports run one way: no circle between modules, no room that reads one above it."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import keras_dla
from tests.backends import on_pytorch

pytestmark = on_pytorch

PACKAGE = Path(keras_dla.__file__).parent
# What each room may import besides itself; `utils` and `version` serve all.
MAY_READ = {
    "utils": set(),
    "ops": {"utils"},
    "keras_internals": {"ops"},
    "layers": {"ops", "keras_internals"},
    "models": {"layers", "ops", "keras_internals"},
    "interop": {"models", "layers", "ops", "keras_internals"},
    "data": set(),
    "training": {"data", "interop", "models", "layers", "ops", "keras_internals"},
    "detection": {"data", "interop", "models", "layers", "ops", "keras_internals"},
    "analysis": {
        "training", "detection", "data", "interop", "models", "layers", "ops", "keras_internals",
    },
}  # fmt: skip
# The rooms inside a room, lowest first.
ORDER = {
    "training": ["recipe", "devices", "checkpoints", "run_folder", "seeds", "experiment"],
}


def _modules() -> dict[str, Path]:
    """Returns every module of the package by its dotted name."""
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = _modules()


def _imports(path: Path, of_the_file: bool = False):
    """Yields the modules of this package that a file imports anywhere, or when it is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if of_the_file else ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def _room(module: str) -> str:
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("room", MAY_READ)
def test_rooms_read_those_below(room):
    allowed = MAY_READ[room] | {room, "utils", "version"}
    wrong = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if _room(module) == room
        for other in _imports(path)
        if re.match(r"keras_dla\.", other) and _room(other) not in allowed
    ]
    assert not wrong


def test_no_module_imports_itself_through_others():
    graph = {
        name: {other for other in _imports(path, of_the_file=True) if other in MODULES}
        for name, path in MODULES.items()
        if path.name != "__init__.py"
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("room", ORDER)
def test_rooms_inside_a_room(room):
    order = ORDER[room]
    wrong = []
    for module, path in MODULES.items():
        _, *inside = module.split(".")[1:3] if module.count(".") > 1 else (None,)
        if _room(module) != room or not inside or inside[0] not in order:
            continue
        above = order[order.index(inside[0]) + 1 :]
        wrong += [
            f"{module} imports {other}"
            for other in _imports(path)
            if other.startswith(tuple(f"keras_dla.{room}.{name}" for name in above))
        ]
    assert not wrong
