"""The description of a training run, which can be saved and repeated."""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import keras

from keras_dla.data import cifar_steps_per_epoch
from keras_dla.training.recipe.recipe import CIFAR, Recipe
from keras_dla.utils.files import read_json, replacing
from keras_dla.utils.names import CIFAR_CLASSES, FORMULATIONS, PRECISIONS, SOURCES
from keras_dla.utils.validation import check_choice, check_positive_integer, is_integer

LAST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A network of the paper, the data, the recipe and the seed of one training run.

    The defaults are the paper's recipe for CIFAR. For a field that is `None`, `resolved()` gives
    its value on this machine.

    Args:
        model: name of the network, as `keras_dla.models.get_model` takes it; defaults to
            `"dla_l_20"`.
        dataset: `"cifar10"` or `"cifar100"`; defaults to `"cifar100"`.
        formulation: `"official"`, `"paper"` or `"verbatim"`; defaults to `"official"`.
        unit: the recurrent unit of a network that has one, `None` for the network's own; defaults
            to None.
        seed: integer, the seed of the initial weights and of the images' order, crops and flips;
            defaults to 0.
        epochs: integer; defaults to `CIFAR.epochs`.
        batch_size: integer, images per step; defaults to `CIFAR.batch_size`.
        learning_rate: positive float, the learning rate before the first milestone; defaults to
            `CIFAR.learning_rate`.
        momentum: float, at least 0 and less than 1; defaults to `CIFAR.momentum`.
        weight_decay: float that is not negative, the L2 penalty; defaults to `CIFAR.weight_decay`.
        attention_weight_decay: the same for the weights of block attentions and layer interactions;
            `None` for `weight_decay`; defaults to None.
        drop_path: float, at least 0 and less than 1; defaults to `CIFAR.drop_path`.
        milestones: epochs (from 0) at whose start the learning rate drops to a tenth; `None` for
            the paper's 100 and 150 of 180, scaled in proportion; defaults to None.
        precision: `"float32"`, `"mixed_float16"` or `"mixed_bfloat16"`; defaults to `"float32"`.
        sync_batch_norm: boolean, whether BN takes its statistics over the batches of all devices;
            has no effect on one device; defaults to False.
        steps_per_epoch: integer, for a trial with fewer steps than a pass over the images; `None`
            for the whole pass; defaults to None.
        data: `"memory"` (arrays), `"device"` (arrays on the accelerator, where images are also
            cropped and flipped; for JAX and PyTorch) or `"tfds"` (tensorflow-datasets and tf.data);
            `None` for `"tfds"` with TensorFlow and `"memory"` otherwise; defaults to None.
        backend: the Keras backend of the run; `None` for the present one; defaults to None.

    Raises:
        ValueError: when an argument is not as described above.

    Example:
    >>> from keras_dla.training import Experiment
    >>> experiment = Experiment("mrla_l_20", epochs=18, seed=3)
    >>> experiment.name
    'cifar100-mrla_l_20-official-3'
    >>> experiment.resolved().milestones, experiment.resolved().steps_per_epoch
    ((10, 15), 391)
    """

    model: str = "dla_l_20"
    dataset: str = "cifar100"
    formulation: str = "official"
    unit: str | None = None
    seed: int = 0
    epochs: int = CIFAR.epochs
    batch_size: int = CIFAR.batch_size
    learning_rate: float = CIFAR.learning_rate
    momentum: float = CIFAR.momentum
    weight_decay: float = CIFAR.weight_decay
    attention_weight_decay: float | None = None
    drop_path: float = CIFAR.drop_path
    milestones: tuple[int, ...] | None = None
    precision: str = "float32"
    sync_batch_norm: bool = False
    steps_per_epoch: int | None = None
    data: str | None = None
    backend: str | None = None

    def __post_init__(self):
        for name in ("model", "dataset", "formulation", "precision"):
            _check_text(name, getattr(self, name))
        check_choice("dataset", self.dataset, tuple(CIFAR_CLASSES))
        check_choice("formulation", self.formulation, FORMULATIONS)
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("data", self.data, (*SOURCES, None))
        for name in ("unit", "backend"):
            _check_text(name, getattr(self, name), or_none=True)
        for name in ("learning_rate", "momentum", "weight_decay", "drop_path"):
            _check_number(name, getattr(self, name))
        if self.attention_weight_decay is not None:
            _check_number("attention_weight_decay", self.attention_weight_decay)
        if not isinstance(self.sync_batch_norm, bool):
            raise ValueError(
                f"`sync_batch_norm` must be True or False, but is {self.sync_batch_norm!r}."
            )
        _check_seed(self.seed)
        object.__setattr__(self, "seed", int(self.seed))
        for name in ("epochs", "batch_size", "steps_per_epoch"):
            value = getattr(self, name)
            if name != "steps_per_epoch" or value is not None:
                check_positive_integer(name, value)
                object.__setattr__(self, name, int(value))  # JSON cannot store NumPy's integers
        if self.milestones is not None:
            _check_sequence("milestones", self.milestones)
            object.__setattr__(self, "milestones", tuple(map(int, self.milestones)))
        _ = self.recipe  # checks the ranges

    @property
    def name(self) -> str:
        """A name for the run's folder."""
        unit = () if self.unit is None else (self.unit,)
        return "-".join((self.dataset, self.model, *unit, self.formulation, str(self.seed)))

    @property
    def classes(self) -> int:
        """The number of classes of the data set."""
        return CIFAR_CLASSES[self.dataset]

    @property
    def steps(self) -> int:
        """The number of steps per epoch: `steps_per_epoch`, or a pass over the images."""
        return self.steps_per_epoch or cifar_steps_per_epoch("train", self.batch_size)

    @property
    def recipe(self) -> Recipe:
        """The `Recipe` of the run."""
        scaled = CIFAR.scaled(self.epochs)
        names = ("batch_size", "learning_rate", "momentum", "drop_path")
        decays = ("weight_decay", "attention_weight_decay")
        changed = {name: getattr(self, name) for name in (*names, *decays)}
        if self.milestones is not None:
            changed["milestones"] = self.milestones
        return dataclasses.replace(scaled, **changed)

    def resolved(self) -> "Experiment":
        """Returns the same experiment with explicit values for all fields.

        Raises:
            ValueError: when the experiment or its data needs another backend than the present one.
        """
        present = keras.backend.backend()
        if self.backend not in (None, present):
            raise ValueError(
                f"`backend` must be {present!r}, the backend on which Keras runs, but is "
                f"{self.backend!r}: set KERAS_BACKEND={self.backend}."
            )
        if (self.data, present) == ("device", "tensorflow"):
            raise ValueError(
                "`data` must be 'tfds' or 'memory' with TensorFlow, which would copy the batches "
                "to the host and back, but is 'device'."
            )
        return dataclasses.replace(
            self,
            milestones=self.recipe.milestones,
            steps_per_epoch=self.steps,
            data=self.data or ("tfds" if present == "tensorflow" else "memory"),
            backend=present,
        )


def read_experiment(path: str | os.PathLike, **changes: Any) -> Experiment:
    """Reads an experiment from a JSON file, such as the `settings.json` of a run.

    Args:
        path: file with one JSON object, whose entries are arguments of `Experiment`; missing ones
            have their defaults.
        **changes: arguments of `Experiment` that replace those of the file.

    Returns:
        An `Experiment`.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when its contents are not such an object.

    Example:
    >>> import pathlib, tempfile
    >>> from keras_dla.training import read_experiment
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "mine.json"
    >>> _ = path.write_text('{"model": "resnet_20", "seed": 1}')
    >>> read_experiment(path, seed=4).name
    'cifar100-resnet_20-official-4'
    >>> folder.cleanup()
    """
    fields = _read_object(Path(path))
    known = [field.name for field in dataclasses.fields(Experiment)]
    unknown = [name for name in fields if name not in known]
    if unknown:
        raise ValueError(
            f"{path} must only have the entries {', '.join(known)}, but has {unknown[0]!r}."
        )
    try:
        return Experiment(**{**fields, **changes})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_experiment(experiment: Experiment, path: str | os.PathLike) -> None:
    """Writes an experiment as JSON, for `read_experiment()`.

    Args:
        experiment: the experiment to write.
        path: path of the file to write or replace.

    Example:
    >>> import pathlib, tempfile
    >>> from keras_dla.training import Experiment, read_experiment, write_experiment
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "mine.json"
    ...     write_experiment(Experiment("resnet_20"), path)
    ...     read_experiment(path).model
    'resnet_20'
    """
    text = json.dumps(dataclasses.asdict(experiment), indent=2) + "\n"
    with replacing(Path(path)) as partial:
        partial.write_text(text, encoding="utf-8")


def _read_object(path: Path) -> dict:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        fields = read_json(path)
    except ValueError as error:
        raise ValueError(
            f"{path} must be the JSON file of an experiment, but cannot be read as one ({error})."
        ) from error
    if not isinstance(fields, dict):
        raise ValueError(
            f"{path} must contain one JSON object, but contains a {type(fields).__name__}."
        )
    return fields


def _check_text(name, value, or_none=False):
    if not (isinstance(value, str) or (or_none and value is None)):
        allowed = "a string or None" if or_none else "a string"
        raise ValueError(f"`{name}` must be {allowed}, but is {value!r}.")


def _check_number(name, value):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ValueError(f"`{name}` must be a finite number, but is {value!r}.")


def _check_seed(seed):
    if not is_integer(seed) or not 0 <= seed <= LAST_SEED:
        raise ValueError(f"`seed` must be an integer from 0 to {LAST_SEED}, but is {seed!r}.")


def _check_sequence(name, value):
    whole = isinstance(value, (list, tuple)) and all(map(is_integer, value))
    if not whole:
        raise ValueError(f"`{name}` must be a list of integers, but is {value!r}.")
