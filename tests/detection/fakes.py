"""A small data set of shapes, a model that says what it is told, and a small backbone."""

import numpy as np

from keras_dla.data import DetectionDataset
from keras_dla.data.detection.source import DetectionSource
from keras_dla.models import ResNet

NAMES = ["square", "disc"]
CATEGORY_IDS = [7, 3]


class Source:
    """What `evaluate_coco` reads of a source."""

    class_names = NAMES
    category_ids = CATEGORY_IDS

    def __init__(self, images, annotations):
        self.images, self.annotations = images, annotations

    def coco(self):
        categories = zip(CATEGORY_IDS, NAMES, strict=True)
        return {
            "images": [{"id": i, "height": h, "width": w} for i, h, w in self.images],
            "categories": [{"id": number, "name": name} for number, name in categories],
            "annotations": self.annotations,
        }


class Dataset:
    """What is asked of `keras_dla.data.DetectionDataset`: batches `(x, y)` and their records."""

    def __init__(self, source, batches, records):
        self.source, self.batches, self._records = source, batches, records

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def records(self, index):
        return self._records[index]


class Told:
    """A model that returns the detections which stand in its input."""

    def predict_on_batch(self, x):
        return x["detections"]


def told(source, scale, size, detections, filling=0):
    """Returns a data set of one batch in which `Told` finds these detections.

    Args:
        source: the `Source`.
        scale: `(sy, sx)`, how much the images were enlarged.
        size: integer, the detections of an image are padded to so many.
        detections: for every image a list of `(class, score, box)` or `(..., mask)`.
        filling: integer, how many images at the end only fill up the batch.
    """
    number = len(detections)
    batch = {
        "boxes": np.zeros((number, size, 4), "float32"),
        "scores": np.zeros((number, size), "float32"),
        "classes": np.full((number, size), -1, "int32"),
    }
    if any(len(d) > 3 for found in detections for d in found):
        batch["masks"] = np.zeros((number, size, 28, 28), "float32")
    for image, found in enumerate(detections):
        for index, (class_, score, box, *mask) in enumerate(found):
            batch["classes"][image, index] = class_
            batch["scores"][image, index] = score
            batch["boxes"][image, index] = np.array(box) * np.tile(scale[::-1], 2)
            if mask:
                batch["masks"][image, index] = mask[0]
    real = source.images[: number - filling]
    records = [{"image_id": i, "height": h, "width": w, "scale": scale} for i, h, w in real]
    return Dataset(source, [({"detections": batch}, {})], [records])


def annotation(number, image_id, class_, box, **more):
    """Returns an object as COCO's JSON has it."""
    x1, y1, x2, y2 = map(float, box)
    size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
    known = {"id": number, "image_id": image_id, "category_id": CATEGORY_IDS[class_], "iscrowd": 0}
    return {**known, **size, **more}


class Shapes(DetectionSource):
    """Images with a bright square (class 0) and a dark disc (class 1) each.

    Args:
        number: integer, how many images.
        side: integer, their height and width.
    """

    class_names = NAMES
    category_ids = CATEGORY_IDS

    def __init__(self, number, side):
        rng = np.random.default_rng(0)
        self.examples = [_example(rng, index, side) for index in range(number)]

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        return self.examples[index]


def _example(rng, index, side):
    image = rng.normal(128, 10, (side, side, 3))
    size = int(rng.integers(side // 4, side // 3))
    left, top = rng.integers(0, (side // 2 - size, side - size))
    image[top : top + size, left : left + size] += 80
    radius = size / 2
    x, y = side * 0.75, rng.uniform(radius, side - radius)
    rows, columns = np.mgrid[:side, :side] + 0.5
    image[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] -= 80
    boxes = [left, top, left + size, top + size], [x - radius, y - radius, x + radius, y + radius]
    return {
        "image": np.clip(image, 0, 255).astype("uint8"),
        "image_id": index,
        "boxes": np.array(boxes, "float32"),
        "classes": np.array([0, 1]),
        "crowd": np.zeros(2, bool),
    }


def shapes(number, side):
    """Returns a data set of such images, to train and evaluate a detector."""
    return DetectionDataset(
        Shapes(number, side),
        number,
        shorter_side=side,
        longer_side=side,
        padded_shape=(side, side),
        flip=0,
        shuffle=False,
        max_objects=4,
        data_format="channels_last",
    )


def tiny_backbone(interaction=None):
    """Returns a ResNet with a block a stage and few channels, for images of any size."""
    tiny = {"stem": "imagenet", "planes": (8, 8, 16, 16), "name": "tiny"}
    last = {"include_top": False, "data_format": "channels_last"}
    return ResNet((1, 1, 2, 1), interaction, **tiny, **last)
