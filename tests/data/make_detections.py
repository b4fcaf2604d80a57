"""Writes `detections_*.npz` and `detected.npz`, what small detectors find on this backend.

python -m tests.data.make_detections
"""

import numpy as np

from keras_dla.data import ImagePreparation, ShapesSource
from keras_dla.detection import detect
from tests.detection.networks import fill
from tests.detection.test_faster_rcnn import DETECTORS, build, images
from tests.golden import DATA


def main():
    for kind in DETECTORS:
        model = build(kind, "channels_last")
        fill(model)
        x, _ = images(kind, data_format="channels_last")[0]
        np.savez_compressed(DATA / f"detections_{kind}.npz", **model.predict_on_batch(x))
    write_detected()


def filled_detector():
    model = build("mask_rcnn", "channels_last")
    fill(model)
    return model


PREPARATION = ImagePreparation(64, 96, padded_shape=(64, 96))


def write_detected():
    """Writes what is found in a landscape and in a portrait of other sizes than the network's."""
    photographs = [ShapesSource(1, size, seed=5)[0]["image"] for size in ((100, 150), (150, 100))]
    arrays = {"landscape": photographs[0], "portrait": photographs[1]}
    for number, found in enumerate(detect(filled_detector(), photographs, 0.05, PREPARATION)):
        arrays |= {f"boxes{number}": found.boxes, f"scores{number}": found.scores}
        areas = found.masks.sum(axis=(1, 2))
        arrays |= {f"classes{number}": found.classes, f"areas{number}": areas}
    np.savez_compressed(DATA / "detected.npz", **arrays)


if __name__ == "__main__":
    main()
