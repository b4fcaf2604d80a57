import json
import re

import pytest

from keras_dla.training.run_folder.versions import VERSIONS, note_versions, present_versions
from tests.data.shared import REPOSITORY


def test_equal_versions_are_noted_once(tmp_path):
    for epochs in (0, 3):
        note_versions(tmp_path, epochs)
    entries = json.loads((tmp_path / VERSIONS).read_text())
    assert entries == [{"epochs_before": 0, **present_versions()}]


def test_other_versions_are_added(tmp_path):
    (tmp_path / VERSIONS).write_text('[{"epochs_before": 0, "keras": "3.0"}]')
    note_versions(tmp_path, 2)
    assert [entry["epochs_before"] for entry in json.loads((tmp_path / VERSIONS).read_text())] == [
        0,
        2,
    ]


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '[{"keras": "3"}]'])
def test_a_file_of_another_form_is_named(tmp_path, text):
    (tmp_path / VERSIONS).write_text(text)
    with pytest.raises(ValueError, match=r"versions\.json is damaged: .*delete it to continue"):
        note_versions(tmp_path, 0)
    assert (tmp_path / VERSIONS).read_text() == text


def test_a_clone_knows_its_commit():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("needs a clone, not an archive of the files")
    assert re.fullmatch(r"[0-9a-f]{40}\+?", present_versions()["commit"])
