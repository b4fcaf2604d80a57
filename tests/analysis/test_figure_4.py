import pytest

from keras_dla.analysis import figure_4
from keras_dla.analysis.figure_4 import accuracy_by_depth
from keras_dla.training import Experiment, Result
from tests.backends import on_pytorch

pytestmark = on_pytorch
pytest.importorskip("matplotlib", reason="needs matplotlib, which draws")


def run(model, accuracy, epochs=1, done=1, **settings):
    history = [{"epoch": epoch + 1.0, "val_accuracy": accuracy} for epoch in range(done)]
    return Result(Experiment(model, epochs=epochs, **settings), history)


def test_accuracies_by_data_set_interaction_and_depth():
    runs = [
        run("dla_l_20", 0.5),
        run("dla_l_20", 0.75, seed=1),
        run("dla_l_56", 0.625, dataset="cifar10"),
        run("dla_l_20", 0.25, unit="lstm"),
    ]
    assert accuracy_by_depth(runs) == {
        "cifar100": {"dla_l": {20: [50.0, 75.0]}, "dla_l-lstm": {20: [25.0]}},
        "cifar10": {"dla_l": {56: [62.5]}},
    }


def test_writes_the_file(tmp_path):
    figure_4([run("dla_l_20", 0.5)], tmp_path / "figure4.png")
    assert (tmp_path / "figure4.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([], "`runs` must contain at least one run"),
        ([run("dla_l_20", 0.5, epochs=3)], "dla_l_20 has 1 of 3 epochs"),
        ([run("dla_l_20", 0.5), run("dla_l_20", 0.5, 2, 2)], "`runs` must have the same epochs"),
    ],
)
def test_runs_that_do_not_compare_are_one_sentence(runs, sentence):
    with pytest.raises(ValueError, match=sentence):
        figure_4(runs)


def test_a_folder_that_is_none_of_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be the folder of a run"):
        figure_4([tmp_path])
