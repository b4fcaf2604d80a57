"""The first script that a newcomer runs, as a newcomer runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends import on_pytorch

pytest.importorskip("matplotlib")

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "quickstart.py"


@on_pytorch
def test_trains_and_leaves_two_figures(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--epochs", "1", "--output", "figures"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    names = {"quickstart_attention.png", "quickstart_predictions.png"}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == names
    assert all(name in done.stdout.splitlines()[-1] for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]
