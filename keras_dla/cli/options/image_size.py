"""Sizes of images on the command line, and those that a network reads."""

import argparse
from typing import TYPE_CHECKING, NamedTuple

from keras_dla.cli.errors import CommandError

if TYPE_CHECKING:
    import keras

# Each is recognised by a layer that only networks with that stem have.
DEFAULTS = {"stem_pool": 224, "stem_conv1": 32}
SIZE_HELP = (
    "size of the images in pixels: 224, or height x width as in 224x320 (default: the network's "
    "own, else 32 for CIFAR and 224 for ImageNet)"
)
LARGEST_SIDE = 8192  # pixels; the first feature maps of a larger image take many gigabytes


class ImageInput(NamedTuple):
    """The images that a network reads.

    Args:
        height: integer, pixels; `None` for any.
        width: integer, pixels; `None` for any.
        channels: integer, 1 (grey) or 3 (colour).
        data_format: string, `"channels_last"` or `"channels_first"`.
    """

    height: int | None
    width: int | None
    channels: int
    data_format: str

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape without the batch axis."""
        if self.data_format == "channels_last":
            return (self.height, self.width, self.channels)
        return (self.channels, self.height, self.width)


def parse_size(text: str) -> tuple[int, int]:
    """Parses `"224"` or `"224x320"` into height and width.

    Example:
    >>> parse_size("224"), parse_size("224x320")
    ((224, 224), (224, 320))
    """
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(n.isascii() and n.isdigit() and int(n) for n in numbers):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size such as 224, or 224x320 (height x width)"
        )
    height, width = int(numbers[0]), int(numbers[-1])
    if max(height, width) > LARGEST_SIDE:
        raise argparse.ArgumentTypeError(
            f"a side must have at most {LARGEST_SIDE} pixels, but {text} has {max(height, width)}"
        )
    return height, width


def image_input(model: "keras.Model", size: tuple[int, int] | None) -> ImageInput:
    """Returns the images that `model` reads, with height and width known.

    Args:
        model: `keras.Model` with one input, of images.
        size: tuple of integers, height and width; `None` for the network's own, or if it leaves
            them open, 32 for a CIFAR stem and 224 for an ImageNet stem.

    Raises:
        CommandError: when the network does not read images, or not images of that size.
    """
    read = _declared_input(model)
    own = (read.height, read.width)
    wanted = own if size is None else size
    if any(a is not None and a != b for a, b in zip(own, wanted, strict=True)):
        raise CommandError(
            f"`--size` must be {_text(own)}, the size that {model.name} reads, but is "
            f"{_text(wanted)}."
        )
    height, width = (_default_size(model) if side is None else side for side in wanted)
    return read._replace(height=height, width=width)


def _declared_input(model: "keras.Model") -> ImageInput:
    shapes = [tensor.shape[1:] for tensor in getattr(model, "inputs", None) or ()]
    if len(shapes) == 1 and len(shapes[0]) == 3:
        first, second, third = shapes[0]
        if third in (1, 3):
            return ImageInput(first, second, third, "channels_last")
        if first in (1, 3):
            return ImageInput(second, third, first, "channels_first")
    raise CommandError(
        f"{model.name} must have one input of grey or colour images, "
        f"but its inputs have the shapes {shapes}."
    )


def _default_size(model: "keras.Model") -> int:
    from keras_dla.keras_internals.private_names import all_layers

    names = {layer.name for layer in all_layers(model)}
    for name, size in DEFAULTS.items():
        if name in names:
            return size
    raise CommandError(f"`--size` must be given, because {model.name} reads images of any size.")


def _text(size: tuple[int | None, ...]) -> str:
    return "x".join("any" if n is None else str(n) for n in size)
