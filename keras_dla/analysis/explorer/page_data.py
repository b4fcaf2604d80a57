"""The data of images and models on the page, as JSON values."""

import base64
import io

import keras
import numpy as np

from keras_dla.analysis.attention_scores import reading_of_stage
from keras_dla.analysis.grad_cam import class_activation_maps
from keras_dla.analysis.plots.plot_attention import readable_stage
from keras_dla.analysis.stages import measure_stages
from keras_dla.utils.optional_imports import import_for

# The number of class scores that are listed, and of those with a map.
LISTED, MAPPED = 5, 3
# In pixels: larger images are reduced to the first, and stored as JPEG above the second.
LARGEST, LOSSLESS = 256, 64
MAP_SIZE = 32
INT16 = 32767


def image_data(image: np.ndarray, name: str) -> dict:
    """Returns an image as a data URL, with its name."""
    pillow = import_for("explore", "PIL.Image", "plot")
    shown = pillow.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    shown.thumbnail((LARGEST, LARGEST))
    kind = "png" if max(shown.size) <= LOSSLESS else "jpeg"
    buffer = io.BytesIO()
    shown.save(buffer, kind, **({"optimize": True} if kind == "png" else {"quality": 85}))
    width, height = shown.size
    source = f"data:image/{kind};base64,{_base64(buffer.getvalue())}"
    return {"name": name, "src": source, "width": width, "height": height}


def model_data(name: str, model: keras.Model, inputs: np.ndarray, batch_size: int) -> dict:
    """Returns the class scores, maps and readings of a model for every image."""
    stages = measure_stages(model, inputs, batch_size, reading_of_stage)
    scores = _class_scores(model, inputs, batch_size)
    likeliest = np.argsort(-scores, axis=1, kind="stable")[:, :LISTED]
    return {
        "name": name,
        "probabilities": bool(scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-2)),
        "likeliest": [
            [[int(index), round(float(row[index]), 4)] for index in chosen]
            for row, chosen in zip(scores, likeliest, strict=True)
        ],
        "maps": _maps(model, inputs, likeliest[:, :MAPPED], batch_size),
        "stages": [_stage_data(stage, reading) for stage, reading in stages.items()],
    }


def _class_scores(model, inputs, batch_size: int) -> np.ndarray:
    batches = [inputs[n : n + batch_size] for n in range(0, len(inputs), batch_size)]
    return np.concatenate([model.predict_on_batch(batch) for batch in batches])


def _maps(model, inputs, classes: np.ndarray, batch_size: int) -> dict:
    """Returns a map per image and most likely class, in bytes from 0 to 255."""
    by_rank = [
        class_activation_maps(model, inputs, column, batch_size=batch_size) for column in classes.T
    ]
    maps = _sampled(np.stack(by_rank, axis=1))
    height, width = maps.shape[2:]
    return {"height": height, "width": width, "bytes": _base64(np.uint8(maps * 255).tobytes())}


def _sampled(maps: np.ndarray) -> np.ndarray:
    """Subsamples maps that are larger than the page needs."""
    steps = (-(-size // MAP_SIZE) for size in maps.shape[2:])
    rows, columns = (slice(step // 2, None, step) for step in steps)
    return maps[:, :, rows, columns]


def _stage_data(name: str, reading: dict[str, np.ndarray]) -> dict:
    _, heads, layers, _ = reading["parts"].shape
    below = np.tril_indices(layers)
    return {
        "name": readable_stage(name),
        "layers": layers,
        "heads": heads,
        "isBase": bool(reading["is_base"].all()),
        "isApproximate": bool(reading["is_approximate"].any()),
        "isRefreshed": bool(np.any(reading["scales"][:, :, *below] != 1)),
        "scores": _packed(reading["parts"][:, :, *below]),
        "scales": _packed(reading["scales"][:, :, *below]),
    }


def _packed(values: np.ndarray) -> dict:
    """Returns numbers as 16-bit integers times a unit, by image, head and row."""
    unit = float(np.abs(values).max()) / INT16 or 1.0
    integers = np.rint(values / unit).astype("<i2")
    return {"unit": unit, "int16": _base64(integers.tobytes())}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
