"""The bundled trained weights: small files, each with a card that describes it."""

import dataclasses
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_dla.layers.registry import find_interaction
from keras_dla.utils.files import read_json
from keras_dla.utils.names import CIFAR_CLASSES, PLAIN

FOLDER = Path(__file__).parent / "trained"
# The data sets that weights may be for, and their numbers of classes.
CLASSES = {**CIFAR_CLASSES, "imagenet": 1000}
CLASSIFIER = "classifier/"
# The settings of an interaction that do not change what trained weights compute.
INDIFFERENT = ("name", "trainable", "dtype", "data_format", "depth", "drop_path")


@dataclasses.dataclass(frozen=True)
class Card:
    """The description of a file of trained weights, stored with it as JSON.

    Args:
        network: string, its name as `keras_dla.models.get_model` takes it.
        dataset: string, the data set whose classes it tells apart.
        classes: integer, how many these are.
        options: dictionary, further arguments of `get_model`, such as the formulation.
        accuracy: float, of this very file on all test images, 0 to 1.
        test_images: integer, how many these are.
        run_accuracy: float, what the log of the run has for the network before it was rounded.
        checkpoint: string, `"last"`, or `"best"` for the epoch with the best test accuracy.
        epoch: integer, the epochs that it was trained for.
        recipe: dictionary, the settings of the run, with everything spelled out.
        versions: list of dictionaries, what the run was trained with, commit included.
        packed_with: dictionary, the same for the file.
        mean: list of floats, by which images are normalised, where white is 1.
        std: list of floats, likewise.
        data: string, where the images are from.
        licence: string, that of the weights.
        sha256: string, of the file.

    Example:
    >>> from keras_dla.models.trained_weights import Card
    >>> [field.name for field in dataclasses.fields(Card)][:3]
    ['network', 'dataset', 'classes']
    """

    network: str
    dataset: str
    classes: int
    options: dict[str, Any]
    accuracy: float
    test_images: int
    run_accuracy: float
    checkpoint: str
    epoch: int
    recipe: dict[str, Any]
    versions: list[dict[str, Any]]
    packed_with: dict[str, str]
    mean: list[float]
    std: list[float]
    data: str
    licence: str
    sha256: str

    @property
    def title(self) -> str:
        """The network's name, with its non-default options."""
        unusual = [str(value) for value in self.options.values() if value != "official"]
        return " ".join([self.network, *unusual])


def read_card(weights: Path) -> Card:
    """Reads the card of a file of weights.

    Raises:
        ValueError: when there is none, or it is damaged.
    """
    path = weights.with_suffix(".json")
    try:
        return Card(**read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"`weights` must have a card in the same folder, but {path} is missing or damaged "
            f"({error})."
        ) from error


def shipped_weights() -> dict[Path, Card]:
    """Returns the cards of the bundled weights, by file."""
    # Not what a process that was killed has left, whose name begins with a dot.
    files = [path for path in sorted(FOLDER.glob("[!.]*.npz")) if is_packed(path)]
    return {path: read_card(path) for path in files}


def is_packed(path: Path) -> bool:
    """Returns whether a file contains trained weights with a card."""
    return path.suffix == ".npz" and path.with_suffix(".json").is_file()


def load_shipped(model: keras.Model, dataset: str, interaction: keras.layers.Layer | None) -> None:
    """Loads the bundled weights for a data set.

    Args:
        model: `keras.Model`, just built.
        dataset: string, one of `CLASSES`.
        interaction: layer or `None`, whose copies the model's blocks interact by.

    Raises:
        ValueError: when none come for this network; it names those for which some do.
    """
    if dataset == "imagenet":
        raise ValueError(
            "`weights` must be the path of a file, because nobody has published 'imagenet' "
            "weights of these networks; keras_dla.interop.load_pretrained_resnet(model, file) "
            "starts a network from a trained ResNet."
        )
    cards = {path: card for path, card in shipped_weights().items() if card.dataset == dataset}
    others = []
    for path, card in cards.items():
        difference = _load_if_it_fits(model, path, card, interaction)
        if difference is None:
            return
        others.append(f"{card.title} ({difference})")
    come = f"come for {', '.join(others)}" if cards else "do not come yet"
    raise ValueError(
        f"`weights` must be the path of a file for {_described(model, interaction)}, but is "
        f"{dataset!r}: trained weights for {dataset} {come}; "
        f"keras_dla.interop.load_pretrained_resnet starts a network from a plain ResNet."
    )


def load_packed(model: keras.Model, path: Path, interaction: keras.layers.Layer | None) -> None:
    """Loads a file that `keras_dla.training.pack_weights` wrote.

    Args:
        model: `keras.Model`, just built.
        path: path of the file.
        interaction: layer or `None`, whose copies the model's blocks interact by.

    Raises:
        ValueError: when the file is damaged, or of another network.
    """
    card = read_card(path)
    difference = _load_if_it_fits(model, path, card, interaction)
    if difference is not None:
        raise ValueError(
            f"`weights` must be a file for {_described(model, interaction)}, but {path} is of "
            f"{card.title} for {card.dataset}: {difference}."
        )


def _load_if_it_fits(
    model: keras.Model, path: Path, card: Card, interaction: keras.layers.Layer | None
) -> str | None:
    """Loads a file, or describes why the model differs from its network."""
    difference = _other_interaction(card, interaction)
    if difference is not None:
        return difference
    arrays = read_arrays(path)
    difference = _other_shapes(card, arrays, model)
    if difference is None:
        assign_arrays(model, arrays)
    return difference


def weight_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights of a model by path, without the states of its random numbers."""
    return {
        path: keras.ops.convert_to_numpy(variable).astype("float32")
        for path, variable in _variables(model).items()
    }


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Returns the weights in a file by path.

    Raises:
        ValueError: when it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"`weights` must be an archive of arrays, but {path} is damaged.") from (
            error
        )


def assign_arrays(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Loads the weights of a file that fits into a model."""
    for path, variable in _variables(model).items():
        variable.assign(arrays[path].astype("float32"))


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    return {
        v.path: v for v in model.variables if "float" in keras.backend.standardize_dtype(v.dtype)
    }


def _other_interaction(card: Card, interaction: keras.layers.Layer | None) -> str | None:
    """Describes how the blocks of a card's network interact, if not by `interaction`."""
    of_card = _interaction_of(card)
    if type(interaction) is not type(of_card):
        return f"its interaction is {'none' if of_card is None else type(of_card).__name__}"
    there, asked = _settings(of_card), _settings(interaction)
    for name, value in there.items():
        if value != asked[name]:
            return f"its {name} is {value!r}, not {asked[name]!r}"
    return None


def _other_shapes(card: Card, arrays: dict[str, np.ndarray], model: keras.Model) -> str | None:
    """Describes the first weight of a model that is not in a file, or the other way round."""
    wanted = {path: tuple(variable.shape) for path, variable in _variables(model).items()}
    there = {path: array.shape for path, array in arrays.items()}
    for path, shape in wanted.items():
        if there.get(path) == shape:
            continue
        if path.startswith(CLASSIFIER):
            return f"it has {card.classes} classes"
        return f"{path} of shape {shape} is {there.get(path, 'not in it')}"
    more = [path for path in there if path not in wanted and not path.startswith(CLASSIFIER)]
    return f"it also has {more[0]}" if more else None


def _interaction_of(card: Card) -> keras.layers.Layer | None:
    name = card.network.rpartition("_")[0]
    if name == PLAIN:
        return None
    return find_interaction(name).make("cifar", keras.config.image_data_format(), card.options)


def _settings(interaction: keras.layers.Layer | None) -> dict[str, Any]:
    config = {} if interaction is None else interaction.get_config()
    return {name: value for name, value in config.items() if name not in INDIFFERENT}


def _described(model: keras.Model, interaction: keras.layers.Layer | None) -> str:
    by = "" if interaction is None else f" with {type(interaction).__name__}"
    return f"{model.name!r}{by}"
