"""The page of the docs is what the command prints."""

from pathlib import Path

import keras
import pytest

from keras_dla.analysis import paper_table
from keras_dla.analysis.paper_tables import TITLES, table_markdown, table_text

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


# Tables 1 and 2 are seventy networks, most of them large; `test_complexity.py` counts small ones
# of every kind on every backend.
NUMBERS = TITLES if keras.backend.backend() == "torch" else (4, 6)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_page_of_the_docs(number):
    table = paper_table(number)
    assert table_markdown(number, table) in PAGE.read_text()
    text = table_text(number, table).splitlines()
    assert text[0] == TITLES[number]
    assert len({len(line) for line in text[1 : 2 + len(table)]}) == 1


def test_a_table_without_parameters():
    with pytest.raises(ValueError, match="`number` must be one of 1, 2, 4, 6, but is 3"):
        paper_table(3)
