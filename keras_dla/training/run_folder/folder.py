"""The folder of a training run, which belongs to one experiment."""

import json
import os
from pathlib import Path

from keras_dla.training.devices.devices import is_main_process
from keras_dla.utils.files import PARTIAL, replacing
from keras_dla.utils.folder_lock import LOCK, lock_folder

SETTINGS = "settings.json"


def open_run(folder: str | os.PathLike, settings: dict, resume: bool = False) -> Path:
    """Makes the folder of a run, or checks that it is the folder of this very run.

    The settings are kept in `settings.json`. Call this before any costly work, so that
    a mistyped folder is refused at once and nothing in it is touched.

    The folder then belongs to this process until it ends, so that a command that is started
    twice does not write everything twice; a killed process holds nothing back. Of the processes of
    `launch()` the main one opens the folder, the others get its path unseen: call this in
    `launch()`, not before it.

    Args:
        folder: path of the run's folder; it is made if need be.
        settings: what defines the experiment: a dictionary of JSON values such as the model's name,
            the seed and the number of epochs.
        resume: boolean, whether to go on with a run that is already there. A folder without one is
            fine too: the run then starts from the beginning; defaults to False.

    Returns:
        The folder.

    Raises:
        FileExistsError: when the folder holds a run and `resume` is false, or holds files that are
            not a run's.
        ValueError: when the folder holds a run with other settings.
        BlockingIOError: when another process has opened the folder and still runs.

    Example:
    >>> import tempfile
    >>> from keras_dla.training import open_run
    >>> parent = tempfile.TemporaryDirectory()
    >>> folder = open_run(f"{parent.name}/first", {"seed": 0})
    >>> folder == open_run(f"{parent.name}/first", {"seed": 0}, resume=True)
    True
    >>> parent.cleanup()
    """
    folder = Path(folder)
    if not is_main_process():
        return folder
    text = json.dumps(settings, indent=2) + "\n"
    if holds_run(folder, settings) and not resume:
        raise FileExistsError(f"{folder} already holds a run: resume it, or name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    lock_folder(folder)
    if not holds_run(folder, settings):  # again: another process may have come before the lock
        with replacing(folder / SETTINGS) as path:
            path.write_text(text, encoding="utf-8")
    return folder


def holds_run(folder: str | os.PathLike, settings: dict) -> bool:
    """Returns whether a folder holds this very run already; nothing is written.

    Args:
        folder: path of a folder, which need not exist.
        settings: what defines the experiment, as for `open_run()`.

    Raises:
        FileExistsError: when it is a file, or holds files that are not a run's.
        ValueError: when it holds a run with other settings.
    """
    folder = Path(folder)
    if _is_unused(folder):
        return False
    _check_equal(_stored_settings(folder), _as_stored(settings), folder)
    return True


def _is_unused(folder: Path) -> bool:
    if not folder.exists():
        return True
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, where a run needs a folder.")
    # What a process that was killed at its start has left.
    return all(e.name == LOCK or e.name.startswith(PARTIAL) for e in folder.iterdir())


def _stored_settings(folder: Path) -> dict:
    try:
        stored = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileExistsError(
            f"{folder} has files in it that are not a run's: name an empty or a new folder."
        ) from None
    except ValueError as error:
        raise ValueError(f"{folder / SETTINGS} is damaged: {error}.") from error
    if not isinstance(stored, dict):
        raise ValueError(f"{folder / SETTINGS} is damaged: it holds a {type(stored).__name__}.")
    return stored


def _as_stored(settings: dict) -> dict:
    """The settings as they come back from a file, where a tuple is a list."""
    return json.loads(json.dumps(settings))


def settings_differences(stored: dict, wanted: dict) -> list[str]:
    """Returns in words in which entries two dictionaries of settings differ, by name.

    Args:
        stored: dictionary, the settings "there".
        wanted: dictionary, the settings "here".
    """
    return [
        f"{name} is {stored.get(name)!r} there and {wanted.get(name)!r} here"
        for name in sorted(stored.keys() | wanted.keys())
        if stored.get(name) != wanted.get(name)
    ]


def _check_equal(stored: dict, wanted: dict, folder: Path) -> None:
    differences = settings_differences(stored, wanted)
    if differences:
        raise ValueError(f"{folder} holds another experiment: {'; '.join(differences)}.")
