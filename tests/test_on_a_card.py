"""The script for a graphics card runs on any machine, and writes both of its files."""

import importlib
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


@on_pytorch
def test_a_compiled_network_is_timed(monkeypatch):
    import torch

    monkeypatch.syspath_prepend(SCRIPT.parent)
    network = importlib.import_module("on_a_card_torch").Network
    model, images, labels = torch.nn.Linear(3, 2), torch.ones(4, 3), torch.tensor([0, 1, 0, 1])
    run = network(model, lambda model, x: model(x), lambda model, x: model(x), images, labels)
    compiled = torch.compile(model, backend="eager")
    before = model.weight.detach().clone()
    run.step(compiled)
    assert run.forward(compiled).shape == (4, 2)
    assert not torch.equal(model.weight, before)
