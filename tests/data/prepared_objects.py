"""Tiny data sets with objects, prepared by tensorflow-datasets where the real ones would be."""

import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets", reason="needs tensorflow-datasets")
pytest.importorskip("tensorflow", reason="tensorflow-datasets prepares data with TensorFlow")
pytest.importorskip("array_record", reason="tensorflow-datasets needs it for random access")

# (ymin, xmin, ymax, xmax) in fractions of images of 20 x 30 pixels.
BOXES = ((0.1, 0.2, 0.5, 0.8), (0.0, 0.0, 1.0, 1.0), (0.25, 0.5, 0.75, 0.6))
IN_PIXELS = ((6, 2, 24, 10), (0, 0, 30, 20), (15, 5, 18, 15))
FLAGS = {"tiny_coco": "is_crowd", "tiny_voc": "is_difficult"}


def features_of(name):
    """The features of COCO 2017 and of Pascal VOC in tensorflow-datasets."""
    features = tfds.features
    common = {"image/filename": features.Text()}
    if name == "tiny_coco":
        return common | {
            "image": features.Image(encoding_format="jpeg"),
            "image/id": np.int64,
            "objects": features.Sequence(
                {
                    "id": np.int64,
                    "area": np.int64,
                    "bbox": features.BBoxFeature(),
                    "label": features.ClassLabel(num_classes=80),
                    "is_crowd": np.bool_,
                }
            ),
        }
    return common | {
        "image": features.Image(),
        "objects": features.Sequence(
            {
                "label": features.ClassLabel(names=["aeroplane", "bicycle", "bird"]),
                "bbox": features.BBoxFeature(),
                "pose": features.ClassLabel(names=["frontal", "rear"]),
                "is_truncated": np.bool_,
                "is_difficult": np.bool_,
            }
        ),
        "labels": features.Sequence(features.ClassLabel(names=["aeroplane", "bicycle", "bird"])),
    }


def example_of(name, index):
    """Image `index` has `index` objects, of which the second one stands apart."""
    objects = [
        {"bbox": tfds.features.BBox(*BOXES[number]), "label": number, FLAGS[name]: number == 1}
        for number in range(index)
    ]
    example = {
        "image": np.full((20, 30, 3), 60 * index, "uint8"),
        "image/filename": f"{index}.jpg",
        "objects": objects,
    }
    if name == "tiny_coco":
        for number, entry in enumerate(objects):
            entry |= {"id": number, "area": 50 + number}
        return example | {"image/id": 1000 + index}
    for entry in objects:
        entry |= {"pose": 0, "is_truncated": False}
    return example | {"labels": [entry["label"] for entry in objects]}


class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.1.0")

    def _info(self):
        features = tfds.features.FeaturesDict(features_of(self.name))
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(4), "validation": self._generate_examples(1)}

    def _generate_examples(self, count):
        for index in range(count):
            yield index, example_of(self.name, index)


class TinyCoco(Tiny, skip_registration=True):
    name = "tiny_coco"


class TinyVoc(Tiny, skip_registration=True):
    name = "tiny_voc"


def prepare_objects(root, name="coco/2017", file_format="array_record"):
    """Prepares COCO 2017 or a year of Pascal VOC in the folder `root`."""
    builder = TinyCoco if name == "coco/2017" else TinyVoc
    (root / name).mkdir(parents=True)
    prepared = builder(data_dir=root, file_format=file_format)
    prepared.download_and_prepare()
    prepared.data_path.rename(root / name / "1.1.0")
