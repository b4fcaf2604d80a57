import contextlib
import os
import shutil
import subprocess
import sys

import pytest

from keras_dla.utils import folder_lock
from keras_dla.utils.folder_lock import check_lock, lock_folder

# Without the package, which would take seconds to import.
HOLD = """
import pathlib, runpy, sys, time
runpy.run_path(sys.argv[1])["lock_folder"](pathlib.Path(sys.argv[2]))
print("held", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def held_by_another_process(folder):
    """Another process holds the folder inside the block; at its end it is killed."""
    command = [sys.executable, "-c", HOLD, folder_lock.__file__, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline().split() == [b"held"]
            yield
        finally:
            process.kill()


def test_a_process_has_the_folder_for_itself_until_it_is_killed(tmp_path):
    with held_by_another_process(tmp_path):
        sentence = "is in use by another process: wait until it ends, or choose another folder"
        with pytest.raises(BlockingIOError, match=sentence):
            lock_folder(tmp_path)
    lock_folder(tmp_path)
    lock_folder(tmp_path)  # as often as this process likes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_neither_holds_nor_frees_the_lock(tmp_path):
    lock_folder(tmp_path)
    child = os.fork()
    if not child:
        os._exit(len(folder_lock._held))
    assert os.waitpid(child, 0)[1] == 0
    code = "import filelock, sys; filelock.FileLock(sys.argv[1], blocking=False).acquire()"
    command = [sys.executable, "-c", code, tmp_path / folder_lock.LOCK]
    other = subprocess.run(command, capture_output=True, text=True)
    assert "could not be acquired" in other.stderr


def test_a_folder_that_another_process_made_anew_is_not_written_to(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    lock_folder(folder)
    check_lock(folder)
    shutil.rmtree(folder)
    with pytest.raises(FileExistsError, match="was removed or replaced since this process opened"):
        check_lock(folder)
    folder.mkdir()
    with held_by_another_process(folder):
        with pytest.raises(FileExistsError, match="so nothing more is written to it"):
            check_lock(folder)
        with pytest.raises(BlockingIOError):
            lock_folder(folder)
    lock_folder(folder)
    check_lock(folder)


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_link_that_leads_elsewhere_meanwhile_is_not_followed(tmp_path):
    folder, link = tmp_path / "run", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    lock_folder(link)
    check_lock(link)
    lock_folder(folder)  # the same, by its own name
    check_lock(folder)
    other = tmp_path / "other"
    other.mkdir()
    link.unlink()
    link.symlink_to(other)
    with pytest.raises(FileExistsError, match="was removed or replaced since this process opened"):
        check_lock(link)
    folder.rename(tmp_path / "away")
    folder.symlink_to(other)
    with pytest.raises(FileExistsError, match="was removed or replaced since this process opened"):
        check_lock(folder)


def test_a_folder_that_was_never_locked_passes(tmp_path):
    check_lock(tmp_path / "missing")
