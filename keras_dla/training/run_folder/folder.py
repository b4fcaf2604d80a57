"""The folder of a training run, which belongs to one experiment."""

import json
import os
from pathlib import Path

from keras_dla.training.devices.devices import is_main_process
from keras_dla.utils.files import PARTIAL, read_json, replacing
from keras_dla.utils.folder_lock import LOCK, lock_folder

SETTINGS = "settings.json"


def open_run(folder: str | os.PathLike, settings: dict, resume: bool = False) -> Path:
    """Creates the folder of a run, or checks that it is the folder of this run.

    The settings are kept in `settings.json`. Call this before any costly work, so that a mistyped
    folder is refused at once and nothing in it is changed.

    The folder is then locked until this process ends, so that a command that is started twice does
    not write everything twice; the lock of a killed process is released. Among the processes of
    `launch()`, only the main one opens the folder, and the others just get its path: call this
    inside `launch()`, not before it.

    Args:
        folder: path of the run's folder, which is created if needed.
        settings: dictionary of JSON values that define the experiment, such as the model's name,
            the seed and the number of epochs.
        resume: boolean, whether to resume a run that is already there. Without one, the run starts
            from the beginning; defaults to False.

    Returns:
        The folder.

    Raises:
        FileExistsError: when the folder contains a run and `resume` is false, or contains files
            that do not belong to a run.
        ValueError: when the folder contains a run with other settings.
        BlockingIOError: when another process has opened the folder and is still running.

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
        raise FileExistsError(
            f"{folder} already contains a run: resume it, or choose another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock_folder(folder)
    # Again, because another process may have been here before the lock.
    if not holds_run(folder, settings):
        with replacing(folder / SETTINGS) as path:
            path.write_text(text, encoding="utf-8")
    return folder


def holds_run(folder: str | os.PathLike, settings: dict) -> bool:
    """Returns whether a folder already contains this run; nothing is written.

    Args:
        folder: path of a folder, which need not exist.
        settings: dictionary, the settings of the experiment, as for `open_run()`.

    Raises:
        FileExistsError: when it is a file, or contains files that do not belong to a run.
        ValueError: when it contains a run with other settings.
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
        raise FileExistsError(f"{folder} must be a folder, but is a file.")
    # The files that a process killed at its start may have left.
    return all(e.name == LOCK or e.name.startswith(PARTIAL) for e in folder.iterdir())


def _stored_settings(folder: Path) -> dict:
    try:
        stored = read_json(folder / SETTINGS)
    except FileNotFoundError:
        raise FileExistsError(
            f"{folder} contains files that do not belong to a run: choose an empty or a new folder."
        ) from None
    except ValueError as error:
        raise ValueError(f"{folder / SETTINGS} is damaged: {error}.") from error
    if not isinstance(stored, dict):
        raise ValueError(
            f"{folder / SETTINGS} is damaged: it must contain a JSON object, but "
            f"contains a {type(stored).__name__}."
        )
    return stored


def _as_stored(settings: dict) -> dict:
    """Returns the settings as they are read back from a file, in which tuples are lists."""
    return json.loads(json.dumps(settings))


def settings_differences(stored: dict, wanted: dict) -> list[str]:
    """Describes the entries in which two dictionaries of settings differ, sorted by name.

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
        raise ValueError(f"{folder} contains another experiment: {'; '.join(differences)}.")
