import json

import pytest

from keras_dla.cli import main
from tests.backends import on_pytorch

pytestmark = on_pytorch


def a_run(parent, name, accuracies, epochs=None, **fields):
    """Writes what a report reads of a run."""
    folder = parent / name
    folder.mkdir()
    fields = {"epochs": len(accuracies) if epochs is None else epochs, **fields}
    (folder / "settings.json").write_text(json.dumps(fields))
    rows = [f"{number},{value}" for number, value in enumerate(accuracies, start=1)]
    (folder / "log.csv").write_text("\n".join(["epoch,val_accuracy", *rows, ""]))
    return folder


@pytest.fixture
def runs(tmp_path):
    a_run(tmp_path, "a", [0.5, 0.70], model="dla_l_20", seed=0)
    a_run(tmp_path, "b", [0.74, 0.72], model="dla_l_20", seed=1)
    a_run(tmp_path, "c", [0.6, 0.76], model="dla_l_56", seed=0)
    return tmp_path


def report(capsys, *arguments):
    assert main(["report", *map(str, arguments)]) == 0
    return capsys.readouterr()


def test_runs_that_differ_in_their_seed_make_a_row(runs, capsys):
    lines = report(capsys, runs, "--markdown").out.splitlines()
    assert lines[2:4] == [
        "| DLA-L-20 | cifar100 | official |  | 2 epochs | 2 | 71.00 ± 1.41 | 72.00 ± 2.83 "
        "| 72.26 ± 0.29 |",
        "| DLA-L-56 | cifar100 | official |  | 2 epochs | 1 | 76.00 | 76.00 | 75.46 ± 0.26 |",
    ]
    assert lines[5].startswith("- Mean over the runs ± standard deviation (n - 1)")


def test_as_text(runs, capsys):
    lines = report(capsys, runs / "c").out.splitlines()
    assert lines[0].split()[:3] == ["network", "data", "set"]
    assert lines[2].split()[0] == "DLA-L-56"


def test_a_run_given_twice_counts_once(runs, capsys):
    assert "| 2 | 71.00 ± 1.41" in report(capsys, runs, runs / "a", "--markdown").out


def test_a_seed_counts_once(runs, capsys):
    """A deviation over copies would be smaller than it is."""
    a_run(runs, "d", [0.5, 0.70], model="dla_l_20", seed=0)
    printed = report(capsys, runs, "--markdown")
    assert "| 2 | 71.00 ± 1.41" in printed.out
    assert printed.err == "d is left out: a is the same experiment.\n"


def test_other_programs_and_damaged_folders_are_left_out(runs, capsys):
    a_run(runs, "detector", [0.1], detector="mask_rcnn")
    (runs / "f").mkdir()
    (runs / "f" / "settings.json").write_text('{"model": "dla')
    printed = report(capsys, runs, "--markdown")
    assert "| 2 | 71.00" in printed.out
    first, second = printed.err.splitlines()
    assert first.startswith("detector is left out: ") and "but has 'detector'." in first
    assert second.startswith("f is left out: ") and "must be the JSON file of an" in second


def test_unfinished_runs_are_left_out(runs, capsys):
    a_run(runs, "d", [0.1], epochs=2, model="dla_l_20", seed=2)
    printed = report(capsys, runs, "--markdown")
    assert "| 2 | 71.00" in printed.out
    assert printed.err == "d is left out: 1 of 2 epochs are done.\n"


def test_whatever_differs_from_the_papers_recipe_is_said(tmp_path, capsys):
    a_run(tmp_path, "a", [0.5] * 180, model="se_20", dataset="cifar10")
    trial = {"learning_rate": 0.2, "precision": "mixed_float16", "steps_per_epoch": 3}
    a_run(tmp_path, "b", [0.5] * 180, model="se_20", dataset="cifar10", **trial)
    lines = report(capsys, tmp_path, "--markdown").out.splitlines()
    assert lines[2].split(" | ")[4] == "the paper's"
    assert lines[3].split(" | ")[4] == "learning_rate 0.2, mixed_float16, 3 steps per epoch"


def test_the_figure(runs, capsys):
    pytest.importorskip("matplotlib", reason="needs matplotlib, which draws")
    a_run(runs, "d", [0.6, 0.73], model="dla_l_20", unit="lstm", seed=0)
    printed = report(capsys, runs, "--figure", runs / "f.svg")
    assert printed.err == f"wrote {runs / 'f.svg'}\n"
    assert b"<svg" in (runs / "f.svg").read_bytes()


def test_errors(fails, runs, tmp_path):
    (tmp_path / "empty").mkdir()
    sentence = fails("report", tmp_path / "empty")
    assert sentence.startswith(f"{tmp_path / 'empty'} must be or contain a run folder, which has a")
    assert fails("report", runs, "--figure", "f.txt").startswith("`--figure` must end in .png")
    a_run(runs, "e", [0.5, 0.6], model="dla_l_20", learning_rate=0.2)
    sentence = fails("report", runs, "--figure", tmp_path / "f.png")
    assert sentence == "FOLDER must have the same learning_rate, but have 0.1, 0.2."


def test_nothing_finished(tmp_path, capsys):
    folder = a_run(tmp_path, "a", [0.1], epochs=3)
    assert main(["report", str(folder)]) == 2
    assert capsys.readouterr().err.endswith(
        "error: FOLDER must contain a finished run, but there is none.\n"
    )
