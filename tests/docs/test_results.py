"""The table of the runs in `docs/results/` is what the report makes of them."""

from keras_dla.cli import main
from tests.backends import on_pytorch
from tests.docs.pages import DOCS, load


def test_the_table_is_that_of_the_runs(capsys):
    assert main(["report", str(DOCS / "results" / "cifar100-6-epochs"), "--markdown"]) == 0
    table = capsys.readouterr().out.split("\n\n")[0]
    assert len(table.splitlines()) == 4
    assert table in (DOCS / "results.md").read_text("utf-8")


@on_pytorch
def test_the_table_of_networks_is_that_of_its_script(capsys):
    load(DOCS / "site" / "which_network.py").main()
    table = capsys.readouterr().out
    assert len(table.splitlines()) == 17
    assert table in (DOCS / "which-network.md").read_text("utf-8")
