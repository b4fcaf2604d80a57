"""Times the data pipelines beside the training step of the network that they feed.

    KERAS_BACKEND=torch python benchmarks/input_pipeline.py

The pipelines and the network take turns; each figure is the median of the rounds, in images
per second. Without folders of real data, they read generated images of the same sizes: CIFAR's, and
JPEGs of 500x375. The ratio is relative to what the network consumes when it never waits.
"""

import argparse
import functools
import itertools
import os
import statistics
import tempfile
import time

import keras
import numpy as np

from keras_dla.data import (
    ArrayDataset,
    DeviceArrayDataset,
    cifar_dataset,
    imagenet_dataset,
    load_cifar_arrays,
)
from keras_dla.models import get_model
from keras_dla.training import CIFAR, EndlessBatches, compile_model


def made_cifar(folder) -> str:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (5_000, 32, 32, 3), "uint8")
    split = {"image": images, "label": np.arange(len(images)) % 100}
    store(folder, "cifar100", tfds.features.Image(shape=(32, 32, 3)), 100, split, tf, tfds)
    return folder


def made_imagenet(folder) -> str:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (256, 47, 63, 3)).astype("float32")
    with tf.device("CPU"):
        smooth = tf.cast(tf.image.resize(coarse, (375, 500)), "uint8").numpy()
    split = {"image": smooth, "label": np.arange(len(smooth))}
    image_feature = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
    store(folder, "imagenet2012", image_feature, 1000, split, tf, tfds)
    return folder


def store(folder, name, image_feature, classes, split, tf, tfds) -> None:
    label = tfds.features.ClassLabel(num_classes=classes)
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict({"image": image_feature, "label": label}),
        split_datasets={"train": tf.data.Dataset.from_tensor_slices(split)},
        data_dir=folder,
    )


def from_arrays(dataset, steps):
    """Takes `steps` batches, and waits until the last one is there."""
    batches = EndlessBatches(dataset)
    batches[0]
    start = time.perf_counter()
    for place in range(steps):
        images, _ = batches[place]
    keras.ops.convert_to_numpy(images[:1, :1, :1])
    return time.perf_counter() - start


def from_tf_data(dataset, steps):
    """Takes `steps` batches behind the first; none was made ahead in the others' turns."""
    batches = iter(dataset)
    next(batches)
    start = time.perf_counter()
    for _ in itertools.islice(batches, steps):
        pass
    return time.perf_counter() - start


def from_model(model, images, labels, steps):
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(images, labels)
    return time.perf_counter() - start


def training(network, size, steps):
    channels_last = keras.config.image_data_format() == "channels_last"
    shape = (32, 32, 3) if channels_last else (3, 32, 32)
    model = get_model(network, classes=100, input_shape=shape, classifier_activation=None)
    compile_model(model, CIFAR, steps_per_epoch=391)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((size, *shape)).astype("float32")
    return functools.partial(from_model, model, images, generator.integers(0, 100, size), steps)


def contestants(arguments, folder) -> dict:
    """By name: a function that handles some images and returns the seconds, and how many."""
    size, steps, few = arguments.batch_size, arguments.steps, 2
    cifar = cifar_dataset("cifar100", "train", size, arguments.cifar or made_cifar(folder))
    imagenet = imagenet_dataset(
        "train", 32, arguments.imagenet or made_imagenet(folder), shuffle_buffer=64
    )
    arrays, _ = load_cifar_arrays(data_dir=arguments.cifar) if arguments.cifar else made_arrays()
    host, device = (kind(*arrays, batch_size=size) for kind in (ArrayDataset, DeviceArrayDataset))
    partial = functools.partial
    return {
        f"training step of {arguments.network}": (
            training(arguments.network, size, few),
            size * few,
        ),
        "CIFAR, arrays in memory": (partial(from_arrays, host, steps), size * steps),
        "CIFAR, arrays on the device": (partial(from_arrays, device, steps), size * steps),
        "CIFAR, tf.data and KerasCV": (partial(from_tf_data, cifar, steps), size * steps),
        "ImageNet, tf.data and KerasCV": (partial(from_tf_data, imagenet, 12), 12 * 32),
    }


def made_arrays():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (50_000, 32, 32, 3), "uint8")
    return (images, generator.integers(0, 100, 50_000)), None


def measure(functions, rounds) -> dict:
    for run, _ in functions.values():
        run()
    rates = {name: [] for name in functions}
    for _ in range(rounds):
        for name, (run, images) in functions.items():
            rates[name].append(images / run())
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="dla_l_20")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=40, help="CIFAR batches per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cifar", help="folder of tensorflow-datasets with the real CIFAR-100")
    parser.add_argument("--imagenet", help="the same with the real imagenet2012")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rates = measure(contestants(arguments, folder), arguments.rounds)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{keras.backend.backend()}, batch {arguments.batch_size}, CPU cores {cores}")
    print("| what | images/s | x the training step |")
    print("|---|---|---|")
    consumed = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {rate / consumed:.1f} |")


if __name__ == "__main__":
    main()
