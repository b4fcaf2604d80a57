import json

import pytest

from keras_dla.training import open_run
from keras_dla.training.run_folder import folder as runs
from tests.backends import on_pytorch
from tests.utils.test_folder_lock import held_by_another_process

pytestmark = on_pytorch

SETTINGS = {"model": "dla_l_20", "milestones": (100, 150), "seed": 0}


def test_a_folder_of_another_process_gets_no_settings(tmp_path):
    with held_by_another_process(tmp_path), pytest.raises(BlockingIOError, match="is in use by"):
        open_run(tmp_path, SETTINGS)
    assert not (tmp_path / "settings.json").exists()
    assert open_run(tmp_path, SETTINGS) == open_run(tmp_path, SETTINGS, resume=True)


def test_of_many_processes_the_main_one_opens_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "is_main_process", lambda: False)
    assert open_run(tmp_path / "run", SETTINGS) == tmp_path / "run"
    assert not (tmp_path / "run").exists()


def test_a_new_folder_gets_the_settings(tmp_path):
    folder = open_run(tmp_path / "runs" / "first", SETTINGS)
    stored = json.loads((folder / "settings.json").read_text())
    assert stored == {"model": "dla_l_20", "milestones": [100, 150], "seed": 0}


def test_an_empty_folder_is_as_good_as_none(tmp_path):
    assert open_run(tmp_path, SETTINGS) == tmp_path


def test_what_a_killed_start_leaves_is_no_run(tmp_path):
    (tmp_path / ".partial-settings.json").write_text('{"mod')
    open_run(tmp_path, SETTINGS)
    assert {path.name for path in tmp_path.iterdir()} - {"run.lock"} == {"settings.json"}


def test_the_same_run_is_resumed_if_asked_for(tmp_path):
    open_run(tmp_path, SETTINGS)
    assert open_run(str(tmp_path), SETTINGS, resume=True) == tmp_path
    with pytest.raises(
        FileExistsError, match="already contains a run: resume it, or choose another"
    ):
        open_run(tmp_path, SETTINGS)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({**SETTINGS, "seed": 1}, "seed is 0 there and 1 here"),
        ({**SETTINGS, "epochs": 5}, "epochs is None there and 5 here"),
        ({"model": "dla_l_20", "seed": 0}, r"milestones is \[100, 150\] there and None here"),
    ],
)
def test_another_experiment_is_refused(tmp_path, changed, difference):
    open_run(tmp_path, SETTINGS)
    before = (tmp_path / "settings.json").read_bytes()
    with pytest.raises(ValueError, match=f"contains another experiment: {difference}"):
        open_run(tmp_path, changed, resume=True)
    assert (tmp_path / "settings.json").read_bytes() == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else_is_refused(tmp_path, resume):
    (tmp_path / "thesis.tex").write_text("chapter 1")
    with pytest.raises(FileExistsError, match="files that do not belong to a run"):
        open_run(tmp_path, SETTINGS, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("text")
    with pytest.raises(FileExistsError, match="must be a folder, but is a file"):
        open_run(path, SETTINGS)


@pytest.mark.parametrize("text", ['{"model": ', "[1]"])
def test_damaged_settings_are_named(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ValueError, match=r"settings\.json is damaged"):
        open_run(tmp_path, SETTINGS, resume=True)


def test_settings_that_are_no_json_leave_no_folder(tmp_path):
    with pytest.raises(TypeError):
        open_run(tmp_path / "run", {"model": object()})
    assert not (tmp_path / "run").exists()
