"""What the workers of `on_a_card.py` share."""

import json
import statistics
import time

import keras
import numpy as np

from keras_dla.data import DeviceArrayDataset
from keras_dla.models import get_model, used_options
from keras_dla.training import CIFAR, compile_model

PRECISIONS = ("float32", "mixed_bfloat16")


def tell(**measured) -> None:
    print("measured " + json.dumps(measured), flush=True)


def median_seconds(run, wait, steps: int) -> float:
    """The median seconds of `run`, of which `wait` sees the end; the first two do not count."""
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        wait(run())
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def batch_of(name: str, settings: dict) -> tuple[np.ndarray, np.ndarray]:
    """Made-up images and labels: CIFAR's size, or ImageNet's and a quarter of the batch."""
    of_imagenet = name.rsplit("_", 1)[1] in ("50", "101", "152")
    batch = max(1, settings["batch_size"] // (4 if of_imagenet else 1))
    size = 224 if of_imagenet else 32
    generator = np.random.default_rng(0)
    images = generator.standard_normal((batch, size, size, 3), "float32")
    return images, generator.integers(0, 100, batch).astype("int32")


def new_model(name: str, images: np.ndarray, precision: str = "float32") -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return get_model(
            name, classes=100, classifier_activation=None, input_shape=images.shape[1:],
            data_format="channels_last", **used_options(name, drop_path=0.0),
        )  # fmt: skip
    finally:
        keras.config.set_dtype_policy(before)


def compiled_model(name: str, images: np.ndarray, precision: str = "float32") -> keras.Model:
    return compile_model(new_model(name, images, precision), CIFAR, steps_per_epoch=390)


def tell_epoch(name: str, settings: dict) -> None:
    """Seconds of an epoch of images that lie on the card, the first having been for compiling."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (settings["images"], 32, 32, 3), "uint8")
    labels = generator.integers(0, 100, settings["images"]).astype("int32")
    arguments = {"batch_size": settings["batch_size"], "data_format": "channels_last"}
    few = 2 * settings["batch_size"]
    model = compiled_model(name, images)
    model.fit(DeviceArrayDataset(images[:few], labels[:few], **arguments), verbose=0)
    start = time.perf_counter()
    data = DeviceArrayDataset(images, labels, **arguments)
    model.fit(data, verbose=0)
    seconds = time.perf_counter() - start
    tell(network=name, mode=f"epoch of {len(data)} steps by fit", step=seconds / len(data),
         precision="float32", epoch_seconds=seconds)  # fmt: skip
