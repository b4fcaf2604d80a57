"""Writes the files of `tests/data/saved_models`, as they were written before the package moved.

Run on PyTorch at the commit whose files are to be kept: `python -m tests.models.make_saved_models`.
"""

from pathlib import Path

import keras
import numpy as np

from keras_dla.detection import FasterRCNN
from keras_dla.models import ResNet
from tests.detection.networks import fill

FOLDER = Path(__file__).parents[1] / "data" / "saved_models"
INTERACTIONS = {
    "resnet": None,
    "se": "se",
    "cbam": "cbam",
    "ba": "ba",
    "rla_g": "rla_g",
    "dianet": "dianet",
    "mrla_b": "mrla_b",
    "mrla_l": "mrla_l",
    "dla_b": "dla_b",
    "dla_l": "dla_l",
}


def image(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, size, size, 3)).astype("float32")


def classifiers():
    """Yields names and networks of two short stages."""
    settings = {"classes": 3, "planes": (8, 8), "data_format": "channels_last"}
    for name, interaction in INTERACTIONS.items():
        yield name, ResNet((2, 1), interaction, name=name, **settings)


def detector() -> keras.Model:
    """Returns a small Faster R-CNN."""
    backbone = ResNet(
        (1, 1), "dla_l", stem="imagenet", planes=(8, 8), include_top=False,
        data_format="channels_last", name="backbone",
    )  # fmt: skip
    return FasterRCNN(
        backbone, 2, channels=8, head_units=8, proposals=20, samples=8, max_detections=5,
        anchor_scale=4, finest_scale=28, name="detector",
    )  # fmt: skip


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    outputs = {}
    for name, model in classifiers():
        fill(model)
        model.save(FOLDER / f"{name}.keras")
        outputs[name] = model.predict(image(8), verbose=0)
        if name in ("mrla_b", "dla_l"):
            model.save_weights(FOLDER / f"{name}.weights.h5")
    model = detector()
    fill(model)
    model.save(FOLDER / "detector.keras")
    inputs = {"images": image(64), "sizes": np.array([[64, 64]], "float32")}
    found = model.predict(inputs, verbose=0)
    outputs |= {f"detector_{key}": np.asarray(value) for key, value in found.items()}
    np.savez_compressed(FOLDER / "outputs.npz", **outputs)


if __name__ == "__main__":
    main()
