"""The messages on the page about trouble are those that the code says."""

import ast
import functools
from pathlib import Path

import pytest

import keras_dla
from tests.backends import on_pytorch
from tests.docs.pages import DOCS, blocks

pytestmark = on_pytorch
GAP = "…"
MESSAGES = [
    line for block in blocks(DOCS / "troubleshooting.md", "text") for line in block.splitlines()
]


@functools.cache
def texts():
    """Every string of the package, with a gap for each value in it."""
    package = Path(keras_dla.__file__).parent
    trees = [ast.parse(path.read_text("utf-8")) for path in package.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    whole = [node.value for node in nodes if isinstance(node, ast.Constant)]
    made = [
        "".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values)
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    ]
    return [text for text in (*whole, *made) if isinstance(text, str)]


def says(text, message):
    """Whether the fixed parts of a message follow each other in a text."""
    place = 0
    for part in message.split(GAP):
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_stands_in_the_code(message):
    assert any(says(text, message) for text in texts())


def test_the_page_has_messages():
    assert len(MESSAGES) > 15
