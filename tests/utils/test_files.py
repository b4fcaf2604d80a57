import errno

import pytest

from keras_dla.utils.files import LARGEST_JSON, read_json, replacing
from tests.backends import on_pytorch

pytestmark = on_pytorch


def test_a_file_that_cannot_be_written_is_named_and_the_old_one_stays(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left on device") as caught, replacing(path) as new:
        new.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    assert [file.name for file in tmp_path.iterdir()] == ["log.csv"]
    assert path.read_text() == "old"


def test_an_error_of_another_file_stays(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a") as new:
        new.write_text((tmp_path / "missing").read_text())
    assert caught.value.filename == str(tmp_path / "missing")


def test_json_of_an_editor_and_json_that_is_no_file_of_settings(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"é": 1}\r\n', encoding="utf-8-sig")
    assert read_json(path) == {"é": 1}
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="it is nested too deeply"):
        read_json(path)
    path.write_text(" " * LARGEST_JSON + "1")
    with pytest.raises(ValueError, match=f"it is too large for .*: {LARGEST_JSON + 1} bytes"):
        read_json(path)
