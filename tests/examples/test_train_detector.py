"""The script that trains detectors: a run, the same one resumed, and what it refuses."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "train_detector.py"
TINY = ["--pictures", "2", "--side", "64", "--batch-size", "2", "--warmup-steps", "1"]


def main(*arguments):
    specification = importlib.util.spec_from_file_location("train_detector", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    script.VALIDATION_PICTURES = 2
    script.main([*TINY, *arguments])


def test_a_run_and_its_resumption(tmp_path, capsys):
    output = ["--detector", "mask_rcnn", "--epochs", "1", "--output", str(tmp_path / "run")]
    main(*output)
    assert "boxes" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"log.csv", "last.keras", "best.keras", "coco.txt", "detections.png"} <= written
    main(*output, "--resume")
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert len(rows) == 2
    assert "val_mask_AP50" in rows[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--backbone", "vgg_16"], "`name` must be one of"),
        (["--data", "coco"], "--data coco needs --annotations"),
    ],
)
def test_refusals(arguments, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(*arguments, "--output", str(tmp_path / "run"))
    assert sentence in str(caught.value) + capsys.readouterr().err
    assert not (tmp_path / "run").exists()
