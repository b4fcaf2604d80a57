"""Packs the network of a run into a small file of weights with a card, like the bundled ones.

The accuracy on the card is measured with the file itself, as a user's network reads it.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import keras
import numpy as np

from keras_dla.data import CIFAR_MEAN, CIFAR_STD, ArrayDataset, load_cifar_arrays
from keras_dla.models import get_model, used_options
from keras_dla.models.loading import load_model
from keras_dla.models.trained_weights import (
    FOLDER,
    Card,
    assign_arrays,
    read_arrays,
    weight_arrays,
)
from keras_dla.training.checkpoints.progress import BEST, LAST, progress_in
from keras_dla.training.experiment.data import TEST_BATCH
from keras_dla.training.experiment.experiment import Experiment
from keras_dla.training.experiment.result import MODEL, read_result
from keras_dla.training.run_folder.folder import SETTINGS
from keras_dla.training.run_folder.versions import VERSIONS, present_versions
from keras_dla.utils.files import read_json, replacing
from keras_dla.utils.validation import check_choice

MOST_BYTES = 1_200_000
# float16 costs less accuracy than this; a larger loss means that something else went wrong.
MOST_LOST = 0.01
LICENCE = "Apache-2.0, as the package"
DATA = (
    "{name} (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009), its 50,000 "
    "training images; its author states no licence"
)


def pack_weights(
    folder: str | os.PathLike,
    output: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    checkpoint: str = "last",
    replace: bool = False,
) -> Path:
    """Packs the network of a run into a small file, which `weights=` of the builders reads.

    Three files are written, whole or not at all: the weights in float16 (`.npz`), a card
    (`.json`) with the recipe, the versions and the accuracy, and the classes predicted for the
    test images (`.predictions.npy`, in the order of `ordered_test_images`).

    Args:
        folder: path of the run's folder, which is only read.
        output: path of the folder to write to; defaults to `None`, the one in the package in
            which `weights="cifar100"` looks.
        data_dir: folder in which tensorflow-datasets has prepared the data set; defaults to `None`,
            the data is downloaded.
        checkpoint: string, `"last"`, the network after the last epoch, or `"best"`, after the
            epoch with the best test accuracy so far, which an unfinished run has too; defaults to
            `"last"`.
        replace: boolean, whether to replace files that are there; defaults to `False`.

    Returns:
        The path of the `.npz` file.

    Raises:
        ValueError: when the run is not finished or damaged, the file would have over 1.2 MB, or its
            accuracy is not the run's.
        FileNotFoundError: when the folder is not a run's, or lacks the network.
        FileExistsError: when a file is there that may not be replaced.

    Example:
    >>> from keras_dla.training import pack_weights
    >>> pack_weights("runs/cifar100-dla_l_20-official-0", output="packed")  # doctest: +SKIP
    PosixPath('packed/cifar100-dla_l_20-official.npz')
    """
    folder = Path(folder)
    check_choice("checkpoint", checkpoint, ("last", "best"))
    experiment = read_result(folder).experiment
    path = Path(FOLDER if output is None else output) / f"{_file_name(experiment)}.npz"
    if path.exists() and not replace:
        raise FileExistsError(f"{path} exists already.")
    source, row = _trained(folder, checkpoint)
    arrays = weight_arrays(load_model(source, compile=False))
    images, labels = ordered_test_images(experiment.dataset, data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_suffix(ending) for ending in (".json", ".predictions.npy", ".npz")]
    with replacing(files[0]) as card, replacing(files[1]) as classes, replacing(files[2]) as packed:
        _write_halves(packed, arrays)
        predicted = _predicted_by_file(experiment, packed, images)
        right = predicted == labels
        _check_accuracy(source, right.mean(), row["val_accuracy"])
        with classes.open("wb") as file:
            np.save(file, predicted)
        made = _card(folder, experiment, checkpoint, row, right, packed)
        card.write_text(json.dumps(dataclasses.asdict(made), indent=2) + "\n", encoding="utf-8")
    return path


def ordered_test_images(
    dataset: str, data_dir: str | os.PathLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns CIFAR's test images and labels in an order that does not depend on their source.

    Args:
        dataset: string, `"cifar10"` or `"cifar100"`.
        data_dir: folder of tensorflow-datasets; defaults to `None`, a download.
    """
    _, (images, labels) = load_cifar_arrays(dataset, data_dir=data_dir)
    order = sorted(range(len(images)), key=lambda i: hashlib.sha256(images[i].tobytes()).digest())
    return images[order], labels[order]


def predicted_classes(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the predicted class of each image, in batches as in a run's evaluation.

    Args:
        model: a classifier for CIFAR.
        images: uint8 array, `[batch, height, width, channels]`.
    """
    labels = np.zeros(len(images), "int64")
    batches = ArrayDataset(images, labels, TEST_BATCH, augment=False, shuffle=False)
    return model.predict(batches, verbose=0).argmax(-1).astype("uint8")


def _file_name(experiment: Experiment) -> str:
    """Returns the name of the run without its seed."""
    return experiment.name.rpartition("-")[0]


def _trained(folder: Path, checkpoint: str) -> tuple[Path, dict]:
    """Returns the file of a run's network, and the log's row of the epoch after which it was saved.

    Raises:
        ValueError: when the run is not finished, and so has no last network.
        FileNotFoundError: when the file is missing.
    """
    result = read_result(folder)
    names = (LAST, MODEL) if checkpoint == "last" else (BEST,)
    files = [folder / name for name in names if (folder / name).is_file()]
    if not files:
        raise FileNotFoundError(f"{folder} has no {' or '.join(names)}.")
    if checkpoint == "best":
        return files[0], progress_in(files[0]).history[-1]
    if not result.is_finished:
        raise ValueError(
            f"`folder` must be a finished run, but {folder} has done {len(result.history)} of "
            f"{result.experiment.epochs} epochs; checkpoint='best' packs the best of these."
        )
    return files[0], result.history[-1]


def _write_halves(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with np.errstate(over="ignore"):
        halves = {name: array.astype("float16") for name, array in arrays.items()}
    for name, array in halves.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"`folder` must contain weights in the range of float16, but {name} is too large."
            )
    with path.open("wb") as file:
        np.savez_compressed(file, **halves)  # type: ignore[arg-type]
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"`folder` must contain a network that packs into {MOST_BYTES:,} bytes, but it takes "
            f"{size:,}."
        )


def _predicted_by_file(experiment: Experiment, packed: Path, images: np.ndarray) -> np.ndarray:
    model = get_model(experiment.model, classes=experiment.classes, **_options(experiment))
    assign_arrays(model, read_arrays(packed))
    return predicted_classes(model, images)


def _options(experiment: Experiment) -> dict:
    """Returns the arguments of `get_model` besides the name."""
    given = {"formulation": experiment.formulation, "unit": experiment.unit}
    used = used_options(experiment.model, **given)
    return {name: value for name, value in used.items() if value is not None}


def _check_accuracy(source: Path, accuracy: float, logged: float) -> None:
    if abs(accuracy - logged) > MOST_LOST:
        raise ValueError(
            f"the packed weights must have the run's test accuracy, {logged:.4f}, but have "
            f"{accuracy:.4f}: {source} is damaged, or the network has changed since."
        )


def _card(
    folder: Path,
    experiment: Experiment,
    checkpoint: str,
    row: dict,
    right: np.ndarray,
    packed: Path,
) -> Card:
    versions = folder / VERSIONS
    return Card(
        network=experiment.model,
        dataset=experiment.dataset,
        classes=experiment.classes,
        options=_options(experiment),
        accuracy=float(right.mean()),
        test_images=len(right),
        run_accuracy=row["val_accuracy"],
        checkpoint=checkpoint,
        epoch=int(row["epoch"]),
        recipe=read_json(folder / SETTINGS),
        versions=read_json(versions) if versions.is_file() else [],
        packed_with=present_versions(),
        mean=list(CIFAR_MEAN),
        std=list(CIFAR_STD),
        data=DATA.format(name=experiment.dataset.upper().replace("CIFAR", "CIFAR-")),
        licence=LICENCE,
        sha256=hashlib.sha256(packed.read_bytes()).hexdigest(),
    )
