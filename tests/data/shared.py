import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def shared_path(*parts):
    """A path in the folder of shared data sets; skips the test where it is missing."""
    root = Path(os.environ.get("KERAS_DLA_SHARED", REPOSITORY.parent / "shared"))
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the shared data {'/'.join(parts)}: set KERAS_DLA_SHARED to its folder")
    return path
