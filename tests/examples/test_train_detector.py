"""The script that trains detectors: a run, one that is stopped and resumed, its data, refusals."""

import csv
import importlib.util
import io
import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_dla.data import ShapesSource, TfdsSource
from tests.backends import on_pytorch

SCRIPT = Path(__file__).parents[2] / "examples" / "train_detector.py"
TINY = ["--images-per-epoch", "2", "--side", "64", "--batch-size", "1", "--warmup-steps", "1"]


@pytest.fixture(autouse=True)
def without_graphs():
    """TensorFlow takes minutes to trace what runs for seconds; tests/detection has its graphs."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def load_script():
    specification = importlib.util.spec_from_file_location("train_detector", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    script.VALIDATION_IMAGES = 1
    return script


def main(*arguments, script=None):
    (script or load_script()).main([*TINY, *map(str, arguments)])


def stopped_script():
    """The script, which a person stops in the middle of the second epoch."""
    script = load_script()

    class Stop(script.CocoEvaluation):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.epoch == 1:
                raise KeyboardInterrupt

    script.CocoEvaluation = Stop
    return script


def log_of(folder):
    """The rows of the log as numbers, without what the clock says."""
    rows = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    return [{k: float(v) for k, v in row.items() if k != "seconds"} for row in rows]


@on_pytorch
def test_a_resumed_run_equals_one_that_was_not_stopped(tmp_path, capsys):
    arguments = ["--epochs", "2", "--output"]
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    main(*arguments, whole)
    assert "boxes" in capsys.readouterr().out
    written = {path.name for path in whole.iterdir()}
    assert {"log.csv", "last.keras", "best.keras", "coco.txt", "detections.png"} <= written
    with pytest.raises(SystemExit, match="Stopped after 1 epochs; --resume continues"):
        main(*arguments, resumed, script=stopped_script())
    first = weights_of(resumed)
    main(*arguments, resumed, "--resume")
    final, expected = weights_of(resumed), weights_of(whole)
    assert not same(first, final)
    assert final.keys() == expected.keys()
    for name, value in final.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    rows = log_of(resumed)
    assert len(rows) == 2
    assert "val_AP50" in rows[0]
    for row, other in zip(rows, log_of(whole), strict=True):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-6)


def weights_of(folder, name="last.keras"):
    """All arrays in a model's file by name, the optimizer's too; loading the model is slower."""
    arrays = {}

    def collect(key, value):
        if isinstance(value, h5py.Dataset):
            arrays[key] = value[()]

    with zipfile.ZipFile(folder / name) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(collect)
    return arrays


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def write_coco(folder, name, sizes):
    """Images of shapes as files, their boxes in COCO's format; returns the two arguments."""
    pillow = pytest.importorskip("PIL.Image")
    content = {"images": [], "annotations": [], "categories": []}
    for number, size in enumerate(sizes):
        source = ShapesSource(1, size, seed=number, shape_sizes=(16, 30))
        truth = source.coco()
        file_name = f"{name}{number}.png"
        pillow.fromarray(source[0]["image"]).save(folder / file_name)
        content["images"].append(truth["images"][0] | {"id": number, "file_name": file_name})
        for annotation in truth["annotations"]:
            del annotation["segmentation"]
            content["annotations"].append(annotation | {"image_id": number})
        content["categories"] = truth["categories"]
    (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / f"{name}.json", folder


def coco_arguments(folder, **sizes):
    arguments = ["--data", "coco"]
    for name, prefix in (("train", ""), ("val", "val-"), ("test", "test-")):
        if name in sizes:
            annotations, images = write_coco(folder, name, sizes[name])
            arguments += [f"--{prefix}annotations", annotations, f"--{prefix}images", images]
    return arguments


def datasets(*arguments):
    script = load_script()
    return script.datasets(script.parse_arguments([*TINY, *map(str, arguments)]))


@on_pytorch
def test_all_images_have_one_shape(tmp_path):
    """That of all sources, also where the first images are alike, or longer than 5 : 3."""
    arguments = coco_arguments(
        tmp_path, train=[(40, 134)] * 9, val=[(40, 134)], test=[(40, 134), (134, 40)]
    )
    assert [data.padded_shape for data in datasets(*arguments[:10])] == [(32, 128)] * 2
    assert [data.padded_shape for data in datasets(*arguments)] == [(128, 128)] * 3


class Falling(keras.callbacks.Callback):
    """Says that the first epoch was the best."""

    def __init__(self, dataset):
        super().__init__()

    def on_epoch_end(self, epoch, logs=None):
        logs["val_AP50"] = 1 / (1 + epoch)


@on_pytorch
def test_the_table_is_made_on_test_images_by_the_best_model(tmp_path):
    script = load_script()
    reported = []
    script.report = lambda *arguments: reported.append(arguments)
    script.CocoEvaluation = Falling
    arguments = coco_arguments(tmp_path, train=[(64, 64)], val=[(64, 64)], test=[(48, 64)])
    main(*arguments, "--epochs", 2, "--output", tmp_path / "run", script=script)
    [(model, dataset, folder)] = reported
    assert dataset.source.info(0)["height"] == 48
    best, last = (weights_of(folder, name) for name in ("best.keras", "last.keras"))
    assert not same(best, last)
    model.save(tmp_path / "reported.keras")
    assert same(weights_of(tmp_path, "reported.keras"), best)


@on_pytorch
def test_classes_must_agree(tmp_path):
    arguments = coco_arguments(tmp_path, train=[(64, 64)], val=[(64, 64)])
    path = tmp_path / "val.json"
    path.write_text(path.read_text().replace("circle", "disc"))
    with pytest.raises(SystemExit, match="must only have classes of the training images"):
        main(*arguments, "--output", tmp_path / "run")


def test_data_that_tensorflow_datasets_prepared(tmp_path):
    # Not above: where tensorflow-datasets is missing, importing it skips the test.
    from tests.data.prepared_objects import prepare_objects

    prepare_objects(tmp_path, "voc/2007")
    train, val = datasets("--data", "voc/2007", "--data-dir", tmp_path)
    assert isinstance(train.source, TfdsSource)
    assert (len(train.source), len(val.source)) == (4, 1)
    assert train.padded_shape == val.padded_shape == (64, 96)


@pytest.mark.parametrize(
    ("detector", "order"), [("retinanet", "channels_last"), ("faster_rcnn", "channels_first")]
)
def test_images_are_in_the_models_order(detector, order, tmp_path):
    pytest.importorskip("keras_cv")
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        script = load_script()
        arguments = ["--detector", detector, "--output", str(tmp_path / "run")]
        model, _, train, val, _ = script.prepare(script.parse_arguments([*TINY, *arguments]))
    finally:
        keras.config.set_image_data_format(before)
    assert train.data_format == val.data_format == model.data_format == order


@on_pytorch
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--backbone", "vgg_16"], "`name` must be one of"),
        (["--data", "coco"], "--data coco needs --annotations"),
        (["--annotations", "a.json"], "--annotations can only be given with --data coco, but"),
        (
            ["--test-images", "x", "--data", "voc/2007"],
            "--test-images can only be given with --data coco",
        ),
        (["--data", "voc/2009"], "argument --data: invalid choice: 'voc/2009'"),
        (["--data-dir", "x"], "--data-dir can only be given with --data coco/2017, voc/2007, "),
        (["--data", "voc/2012", "--detector", "mask_rcnn"], "which --data voc/2012 lacks"),
        (["--data", "voc/2012", "--data-dir", "nowhere"], "a folder with the data set 'voc/2012'"),
    ],
)
def test_refusals(arguments, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(*arguments, "--output", tmp_path / "run")
    assert sentence in str(caught.value) + capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resuming_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="--output must be the folder of a run to resume, but"):
        main("--output", tmp_path / "nowhere", "--resume")
    assert not list(tmp_path.iterdir())
