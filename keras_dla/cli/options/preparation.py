"""How a detector's images are resized and normalised."""

import argparse
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.normalization import statistics

if TYPE_CHECKING:
    from keras_dla.data import ImagePreparation


def add_side_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for the size to which images were resized in training."""
    parser.add_argument(
        "--shorter-side",
        type=int,
        metavar="PIXELS",
        help="shorter side of the images in pixels, as in training; required unless it was saved "
        "with the detector or the detector has a fixed image size",
    )
    parser.add_argument(
        "--longer-side",
        type=int,
        metavar="PIXELS",
        help="upper limit of the longer side in pixels, as in training (default: five thirds of "
        "--shorter-side, if that is given)",
    )


def image_preparation(arguments: argparse.Namespace, model: Any) -> "ImagePreparation":
    """Returns how images are prepared: as the user says, or as saved with the detector.

    Args:
        arguments: namespace with `file`, `shorter_side`, `longer_side`, `normalize`, `mean` and
            `std`.
        model: a detector.

    Raises:
        CommandError: when `model` is not a detector, or neither says it.
    """
    from keras_dla.data import ImagePreparation

    if not hasattr(model, "data_format"):
        raise CommandError(f"{arguments.file} must be a detector, but is {model.name}.")
    known = getattr(model, "preparation", None)
    image_shape = getattr(model, "image_shape", None)
    sides = _sides(arguments, model, image_shape, known)
    if any((arguments.normalize, arguments.mean, arguments.std)):
        mean, std = statistics(arguments, channels=3)
        return ImagePreparation(**sides, mean=mean, std=std)
    if known is not None:
        return ImagePreparation(**sides, mean=known.mean, std=known.std)
    return ImagePreparation(**sides)


def _sides(
    arguments: argparse.Namespace,
    model: Any,
    image_shape: tuple[int, int] | None,
    known: "ImagePreparation | None",
) -> dict[str, Any]:
    shorter, longer = arguments.shorter_side, arguments.longer_side
    padded = image_shape
    if shorter is not None:
        default = shorter * 5 // 3  # MMDetection's 800 and 1333
    elif known is not None:
        shorter, default = known.shorter_side, known.longer_side
        padded = image_shape or known.padded_shape
    elif image_shape is not None:
        shorter, default = min(image_shape), max(image_shape)
    else:
        raise CommandError(
            "`--shorter-side` must say to how many pixels images were resized in training, "
            f"because it was not saved with {model.name}."
        )
    if image_shape is not None and shorter > max(image_shape):
        raise CommandError(
            f"`--shorter-side` must be at most {max(image_shape)}, because {model.name} reads "
            f"images of {image_shape[0]} x {image_shape[1]} pixels, but is {shorter}."
        )
    sides = {"shorter_side": shorter, "longer_side": default if longer is None else longer}
    return {**sides, "padded_shape": padded}
