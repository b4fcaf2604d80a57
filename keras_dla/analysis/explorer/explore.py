"""Writes predictions, class activation maps and attention scores into one HTML page."""

import html
import json
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import keras
import numpy as np

from keras_dla.analysis.checked_images import checked_images
from keras_dla.analysis.explorer.page_data import image_data, model_data
from keras_dla.analysis.plots.figures import check_one_per_image, check_shown_images
from keras_dla.utils.files import replacing

TITLE = "What the layers read"


def explore(
    models: keras.Model | Mapping[str, keras.Model],
    inputs: np.ndarray,
    path: str | os.PathLike,
    *,
    images: np.ndarray,
    image_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    title: str = TITLE,
    batch_size: int = 32,
) -> Path:
    """Writes an HTML page for exploring which layers of networks read which.

    The page is one file that needs neither a server nor an internet connection. For each image,
    with the models side by side, it shows the class scores, where the model sees a class (Grad-CAM)
    and, per stage, which layers read which: the scores, the accumulated scales of the values, and
    their product, with sliders for layers and heads.

    Args:
        models: Keras classifier with layer attention, or a dictionary of several by their names on
            the page, such as `{"static": mrla, "dynamic": dla}`.
        inputs: array, `[batch, height, width, channels]` or channels first, the images normalised
            as every model expects them.
        path: path, the `.html` file to write, completely or not at all.
        images: array, uint8 `[batch, height, width, channels]` with 1 or 3 channels, the same
            images for display.
        image_names: sequence of strings, the name of each image; defaults to `None`, their numbers.
        class_names: sequence of strings, the name of each class; defaults to `None`, their numbers.
        title: string, the page's title; defaults to `"What the layers read"`.
        batch_size: integer, the number of images per batch; use 1 for the formulation `"verbatim"`,
            in which predictions depend on the batch; defaults to 32.

    Returns:
        The `pathlib.Path` of the page.

    Raises:
        ValueError: when a model is not a classifier with layer attention, the arrays do not fit
            each other or the models, or the folder of `path` does not exist.
        ImportError: when Pillow is not installed.

    Source:
        Figure 2 of https://arxiv.org/abs/2406.13392; Grad-CAM, https://arxiv.org/abs/1610.02391

    Example:
    >>> import pathlib, tempfile
    >>> import keras, keras_dla
    >>> import numpy as np
    >>> last = {"data_format": "channels_last"}
    >>> inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(32, 3, **last)(inputs)
    >>> x, state = keras_dla.layers.MRLABase(depth=1, **last)(x)
    >>> x = keras.layers.GlobalAveragePooling2D(**last)(x)
    >>> model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    >>> pixels = np.zeros((2, 8, 8, 3), "uint8")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "report.html")
    ...     page = keras_dla.analysis.explore(model, pixels / np.float32(255), path, images=pixels)
    ...     page.name
    'report.html'
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"`path` must be in an existing folder, but is {str(path)!r}.")
    named = dict(models) if isinstance(models, Mapping) else {models.name: models}
    images, inputs = np.asarray(images), checked_images(inputs)
    names = [f"image {n + 1}" for n in range(len(images))] if image_names is None else image_names
    _check(named, images, inputs, names, class_names)
    page = {
        "title": title,
        "images": [image_data(image, name) for image, name in zip(images, names, strict=True)],
        "classes": None if class_names is None else list(class_names),
        "models": [model_data(name, model, inputs, batch_size) for name, model in named.items()],
    }
    with replacing(path) as partial:
        partial.write_text(page_text(page), encoding="utf-8")
    return path


def page_text(page: dict) -> str:
    """Returns the HTML of a page.

    Args:
        page: dictionary of JSON values: `title`, `images`, `classes` and `models`.
    """
    parts = {
        name: (files(__package__) / name).read_text("utf-8")
        for name in ("page.html", "page.css", "page.js", "drawing.js")
    }
    # Inside a script, `<` could end the script, and the names come from the user's files.
    data = json.dumps(page, separators=(",", ":")).replace("<", "\\u003c")
    filled = {
        "@TITLE@": html.escape(page["title"]),
        "@STYLE@": parts["page.css"],
        "@DATA@": data,
        "@DRAWING@": parts["drawing.js"],
        "@SCRIPT@": parts["page.js"],
    }
    text = parts["page.html"]
    for place, content in filled.items():
        before, _, after = text.partition(place)
        text = before + content + after
    return text


def _check(models, images, inputs, image_names, class_names) -> None:
    if not models:
        raise ValueError("`models` must contain at least one model, but is empty.")
    check_shown_images(images)
    if images.dtype != np.uint8:
        raise ValueError(f"`images` must be uint8, but is {images.dtype}.")
    check_one_per_image("inputs", len(inputs), images)
    check_one_per_image("image_names", len(image_names), images)
    for name, model in models.items():
        classes = model.outputs[0].shape[-1] if getattr(model, "outputs", None) else None
        if class_names is not None and classes != len(class_names):
            raise ValueError(
                f"`class_names` must name the {classes} classes of {name!r}, "
                f"but has {len(class_names)} names."
            )
