"""The script for a graphics card runs on any machine, and writes both of its files."""

import json
import subprocess
import sys
from pathlib import Path

from tests.backends import on_pytorch

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "on_a_card.py"


@on_pytorch
def test_tiny(tmp_path):
    command = [sys.executable, str(SCRIPT), "--tiny", "--no-compiled", "--backends", "torch"]
    subprocess.run([*command, "--output", "card"], cwd=tmp_path, check=True, timeout=300)
    rows = json.loads((tmp_path / "card.json").read_text())
    modes = {(row["mode"], row["precision"]): row for row in rows}
    eager = modes["eager", "float32"]
    assert eager["forward"] > 0 and eager["step"] > eager["forward"] / 10
    assert eager["launches"] > 100
    assert ("eager", "mixed_bfloat16") in modes
    assert ("epoch of 2 steps by fit", "float32") in modes
    lines = (tmp_path / "card.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("| torch | dla_l_11")]) == len(rows)
