"""The table of the runs in `docs/results/` is what the report makes of them."""

from keras_dla.cli import main
from tests.docs.pages import DOCS


def test_the_table_is_that_of_the_runs(capsys):
    assert main(["report", str(DOCS / "results" / "cifar100-6-epochs"), "--markdown"]) == 0
    table = capsys.readouterr().out.split("\n\n")[0]
    assert len(table.splitlines()) == 4
    assert table in (DOCS / "results.md").read_text("utf-8")
