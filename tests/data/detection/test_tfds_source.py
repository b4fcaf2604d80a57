import os
import subprocess
import sys

import numpy as np
import pytest

from keras_dla.data import DetectionDataset, TfdsSource
from tests.backends import on_pytorch
from tests.data.prepared_objects import IN_PIXELS, Tiny, prepare_objects, tfds

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data sets where tensorflow-datasets would have put the real ones."""
    root = tmp_path_factory.mktemp("tensorflow_datasets")
    prepare_objects(root, "coco/2017")
    prepare_objects(root, "voc/2007")
    prepare_objects(root, "voc/2012", file_format="tfrecord")
    return root


def by_count(source):
    """The examples, with `n` objects at place `n`: tensorflow-datasets shuffles them."""
    return sorted((source[index] for index in range(len(source))), key=lambda x: len(x["boxes"]))


@pytest.mark.parametrize("name", ["coco/2017", "voc/2007"])
def test_examples_are_what_was_prepared(folder, name):
    source = TfdsSource(name, "train", folder)
    for count, example in enumerate(by_count(source)):
        assert example["image"].shape == (20, 30, 3)
        assert abs(example["image"].mean() - 60 * count) < 2
        np.testing.assert_allclose(
            example["boxes"], np.reshape(IN_PIXELS[:count], (-1, 4)), atol=1e-5
        )
        np.testing.assert_array_equal(example["classes"], np.arange(count))
        np.testing.assert_array_equal(example["crowd"], np.arange(count) == 1)
        dtypes = [example[key].dtype for key in ("image", "boxes", "classes", "crowd")]
        assert dtypes == ["uint8", "float32", "int64", "bool"]
        if name == "coco/2017":
            assert example["image_id"] == 1000 + count
    if name == "voc/2007":
        assert [source[index]["image_id"] for index in range(4)] == [0, 1, 2, 3]


def test_classes_have_their_names_and_ids(folder):
    voc = TfdsSource("voc/2007", "train", folder)
    assert (voc.class_names, voc.category_ids) == (["aeroplane", "bicycle", "bird"], [1, 2, 3])
    coco = TfdsSource("coco/2017", "train", folder)
    assert len(coco.class_names) == len(coco.category_ids) == 80
    # As COCO numbers a person, a stop sign, a dining table and a toothbrush.
    assert [coco.category_ids[class_] for class_ in (0, 11, 60, 79)] == [1, 13, 67, 90]


def test_ground_truth_in_cocos_form(folder):
    truth = TfdsSource("coco/2017", "train", folder).coco()
    assert sorted(image["id"] for image in truth["images"]) == [1000, 1001, 1002, 1003]
    assert {(image["height"], image["width"]) for image in truth["images"]} == {(20, 30)}
    entries = [entry for entry in truth["annotations"] if entry["image_id"] == 1003]
    assert [entry["area"] for entry in entries] == [50, 51, 52]
    assert [entry["iscrowd"] for entry in entries] == [0, 1, 0]
    assert [entry["category_id"] for entry in entries] == [1, 2, 3]
    np.testing.assert_allclose(entries[0]["bbox"], [6, 2, 18, 8], atol=1e-5)
    voc = TfdsSource("voc/2007", "train[:50%]", folder)
    assert len(voc) == 2
    for entry in voc.coco()["annotations"]:
        np.testing.assert_allclose(entry["area"], entry["bbox"][2] * entry["bbox"][3])


def test_batches_from_it(folder):
    source = TfdsSource("coco/2017", "train", folder)
    dataset = DetectionDataset(source, 2, 40, data_format="channels_last", workers=2)
    for index in range(2):
        x, y = dataset[index]
        assert x["images"].shape == (2, 64, 64, 3)
        assert x["sizes"].tolist() == [[40, 60]] * 2
        for record, classes in zip(dataset.records(index), y["classes"], strict=True):
            # Crowds are left out.
            expected = {1000: [], 1001: [0], 1002: [0], 1003: [0, 2]}[record["image_id"]]
            assert classes[classes >= 0].tolist() == expected
            assert (record["height"], record["width"]) == (20, 30)


@on_pytorch
def test_reading_imports_no_tensorflow(folder):
    program = (
        "import sys; from keras_dla.data import TfdsSource\n"
        f"source = TfdsSource('coco/2017', 'train', {str(folder)!r})\n"
        "source[0], source.coco(); print('tensorflow' in sys.modules)"
    )
    backend = "torch" if os.environ.get("KERAS_BACKEND") == "torch" else "jax"
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["", 5, "../coco", "coco/..", "/coco", "coco/2017/x", "a b"])
def test_a_wrong_name_is_refused(folder, name):
    with pytest.raises(ValueError, match="`name` must be a data set of tensorflow-datasets"):
        TfdsSource(name, "train", folder)


@pytest.mark.parametrize("split", ["test", "train[", "train[3:1]", None, 5])
def test_a_wrong_split_is_refused(folder, split):
    with pytest.raises(ValueError, match=r"`split` must be.* 'train', 'validation', or"):
        TfdsSource("coco/2017", split, folder)


def command(name, folder):
    """What the sentence tells the reader to run."""
    return f"tfds.builder('{name}', file_format='array_record', data_dir='{folder}')"


def test_missing_data_are_named_with_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="the data set 'coco/2017'") as error:
        TfdsSource("coco/2017", "train", tmp_path)
    assert str(error.value).endswith(f"{command('coco/2017', tmp_path)}.download_and_prepare()")


def test_the_command_prepares_where_the_source_looks(tmp_path):
    for name in ("coco/2017", "voc/2007", "voc/2012"):
        builder = eval(command(name, tmp_path), {"tfds": tfds})
        assert builder.data_path.parent == tmp_path / name
        assert {"image", "objects"} <= set(builder.info.features)


def test_data_without_random_access_are_named_with_the_command(folder):
    with pytest.raises(ValueError, match="prepared as tfrecord; delete it and prep") as error:
        TfdsSource("voc/2012", "train", folder)
    assert str(error.value).endswith(f"{command('voc/2012', folder)}.download_and_prepare()")


def test_data_without_objects_are_refused(tmp_path):
    class TinyDigits(Tiny, skip_registration=True):
        name = "tiny_digits"

        def _info(self):
            features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, count):
            yield 0, {"image": np.zeros((4, 4, 3), "uint8")}

    TinyDigits(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    with pytest.raises(ValueError, match=r"with the features 'image' and 'objects'.*tiny_digits"):
        TfdsSource("tiny_digits", "train", tmp_path)
