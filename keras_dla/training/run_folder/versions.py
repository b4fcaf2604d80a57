"""The versions of the software with which a run was trained."""

import importlib
import importlib.metadata
import json
import platform
import subprocess
from pathlib import Path

import keras

from keras_dla import version
from keras_dla.utils.files import read_json, replacing

VERSIONS = "versions.json"


def present_versions() -> dict[str, str]:
    """Returns the versions of the packages on which a run depends."""
    backend = keras.backend.backend()
    return {
        "keras_dla": version.__version__,
        "keras": keras.__version__,
        backend: importlib.import_module(backend).__version__,
        "numpy": importlib.metadata.version("numpy"),
        "python": platform.python_version(),
        **_commit_of(Path(version.__file__).resolve().parents[1]),
    }


def _commit_of(clone: Path) -> dict[str, str]:
    """Returns the commit of this library if it runs from a clone; "+" marks uncommitted changes."""
    if not (clone / ".git").exists():
        return {}  # an installed package, which its version identifies

    def git(*words: str) -> str:
        command = ("git", "-C", str(clone), *words)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "keras_dla")
        return {"commit": git("rev-parse", "HEAD") + ("+" if changed else "")}
    except (OSError, subprocess.CalledProcessError):
        return {}  # no git, or a clone that git does not trust


def _read_entries(path: Path) -> list[dict]:
    try:
        entries = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; delete it to continue the run.") from error
    whole = isinstance(entries, list) and all(
        isinstance(entry, dict) and "epochs_before" in entry for entry in entries
    )
    if not whole:
        raise ValueError(
            f"{path} is damaged: it does not list versions; delete it to continue the run."
        )
    return entries


def note_versions(folder: Path, epochs: int) -> None:
    """Adds the present versions to a run's list, unless its last entry is the same.

    Args:
        folder: folder of the run.
        epochs: integer, the number of epochs that were done before.
    """
    path = folder / VERSIONS
    entries = _read_entries(path) if path.exists() else []
    present = present_versions()
    if entries and entries[-1] == {"epochs_before": entries[-1]["epochs_before"], **present}:
        return
    text = json.dumps([*entries, {"epochs_before": epochs, **present}], indent=2) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
