import keras
import pytest

from keras_dla.analysis.paper import paper_tables
from keras_dla.analysis.paper import published_costs as published
from keras_dla.cli import main
from keras_dla.utils.names import COUNTED_TABLES
from tests.backends import on_pytorch

pytestmark = on_pytorch


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Gives each table one small network."""
    images = keras.Input((32, 32, 3))
    network = keras.Model(images, keras.layers.Conv2D(10, 1)(images))
    row = published.Row("tiny", "tiny_1", {"classes": 10}, "0.01")
    monkeypatch.setattr(paper_tables, "get_model", lambda name, **arguments: network)
    for module in (published, paper_tables):
        monkeypatch.setattr(module, "rows", lambda number: [row])


def test_a_table(capsys):
    assert main(["tables", "6"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Table 6: ")
    assert printed.out.splitlines()[3].split()[:5] == ["tiny", "40", "0.00", "0.01", "no"]
    assert printed.err == "Table 6: counting 1 networks ...\n"


def test_in_markdown(capsys):
    assert main(["tables", "6", "4", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        f"## {paper_tables.TITLES[number]}" for number in (6, 4)
    ]


def test_the_tables_are_those_of_the_library():
    assert tuple(paper_tables.TITLES) == COUNTED_TABLES


def test_a_table_without_such_columns(fails):
    assert fails("tables", "3") == "TABLE must be one of 1, 2, 4, 6, but is 3."
