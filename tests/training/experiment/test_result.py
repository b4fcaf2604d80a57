import pytest

from keras_dla.training import open_run, read_result


def a_run(tmp_path, log=None):
    folder = open_run(tmp_path / "run", {"model": "resnet_20", "epochs": 3})
    if log is not None:
        (folder / "log.csv").write_text(log)
    return folder


def test_the_log_is_read_as_numbers(tmp_path):
    log = "epoch,val_accuracy\n1,0.5\n2,0.75\n3,0.75\n"
    result = read_result(a_run(tmp_path, log))
    assert result.is_finished
    assert result.history[1] == {"epoch": 2.0, "val_accuracy": 0.75}
    assert (result.accuracy, result.best["epoch"]) == (0.75, 2.0)


def test_a_run_before_its_first_epoch_has_no_history(tmp_path):
    result = read_result(a_run(tmp_path))
    assert result.history == []
    assert not result.is_finished


def test_other_folders_are_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"must be the folder of a run, but has no settings\.json"
    ):
        read_result(tmp_path)


@pytest.mark.parametrize("log", ["epoch,val_accuracy\n1,text\n", "epoch\n1,2,3\n", "a,b\n1\n"])
def test_a_damaged_log_is_named(tmp_path, log):
    with pytest.raises(ValueError, match=r"log\.csv is damaged"):
        read_result(a_run(tmp_path, log))
