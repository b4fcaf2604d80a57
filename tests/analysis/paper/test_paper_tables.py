"""The page of the docs is what the command prints."""

from pathlib import Path

import pytest

from keras_dla.analysis import paper_table
from keras_dla.analysis.paper.paper_tables import TITLES, table_markdown, table_text
from tests.backends import on_pytorch

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"


@on_pytorch
@pytest.mark.parametrize("number", TITLES)
def test_the_page_of_the_docs(number):
    table = paper_table(number)
    assert table_markdown(number, table) in PAGE.read_text()
    text = table_text(number, table).splitlines()
    assert text[0] == TITLES[number]
    assert text[1].split()[0] == "network"
    assert [line.split()[0] for line in text[3 : 3 + len(table)]] == [
        row[0].split()[0] for row in table
    ]


def test_a_table_without_parameters():
    with pytest.raises(ValueError, match="`number` must be one of 1, 2, 4, 6, but is 3"):
        paper_table(3)
