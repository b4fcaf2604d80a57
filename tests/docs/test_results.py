"""What pages say was measured: from which command, commit and machine, and equal to its record."""

import re

import pytest

from keras_dla.cli import main
from tests.backends import on_pytorch
from tests.docs.pages import DOCS, load, name_of

RUNS = sorted({path.parents[1] for path in (DOCS / "results").glob("*/*/settings.json")})
# A section of a page with a table of figures or a picture of what was trained.
SHOWN = re.compile(r"^\|.*\d.*\|$|^!\[", re.MULTILINE)
COMMAND = re.compile(r"^ *(?:[A-Z_]+=\S+ )*(?:python|keras-dla) \S+", re.MULTILINE)
COMMIT = re.compile(r"Commits?\b[^.|]*?`[0-9a-f]{7,40}`")
MACHINE = re.compile(r"\bcores?\b|\bcards?\b|\bGPUs?\b")


def sections(page):
    """Returns the sections of a page, and a page about a single measurement as a whole."""
    text = page.read_text("utf-8")
    return re.split(r"^##+ ", text, flags=re.MULTILINE) if page.name == "results.md" else [text]


@on_pytorch
@pytest.mark.parametrize("name", ["results.md", "which-network.md", "idea.md"])
def test_no_figure_without_its_command_commit_and_machine(name):
    shown = [part for part in sections(DOCS / name) if SHOWN.search(part)]
    assert shown
    for part in shown:
        title = part.splitlines()[0]
        assert COMMAND.search(part), f"{title}: no command"
        assert COMMIT.search(part), f"{title}: no commit"
        assert MACHINE.search(part), f"{title}: no machine"


@on_pytorch
def test_tables_of_speed_are_those_of_their_record():
    """After a new measurement: `python docs/site/speed.py`."""
    speed = load(DOCS / "site" / "speed.py")
    assert len(speed.PAGES) == 2
    for page in speed.PAGES:
        assert speed.updated(page) == page.read_text("utf-8"), name_of(page)


@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.name)
def test_the_table_is_that_of_the_runs(folder, capsys):
    assert main(["report", str(folder), "--markdown"]) == 0
    table = capsys.readouterr().out.split("\n\n")[0]
    assert len(table.splitlines()) > 2
    assert table in (DOCS / "results.md").read_text("utf-8")


@on_pytorch
def test_the_table_of_networks_is_that_of_its_script(capsys):
    load(DOCS / "site" / "which_network.py").main()
    table = capsys.readouterr().out
    assert len(table.splitlines()) == 17
    assert table in (DOCS / "which-network.md").read_text("utf-8")
