"""Writes `detections_*.npz`, what small detectors with known weights find on this backend.

python -m tests.data.make_detections
"""

import numpy as np

from tests.detection.networks import fill
from tests.detection.test_faster_rcnn import DETECTORS, build, images
from tests.golden import DATA


def main():
    for kind in DETECTORS:
        model = build(kind, "channels_last")
        fill(model)
        x, _ = images(kind, data_format="channels_last")[0]
        np.savez_compressed(DATA / f"detections_{kind}.npz", **model.predict_on_batch(x))


if __name__ == "__main__":
    main()
