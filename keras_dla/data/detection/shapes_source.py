"""Images of circles, squares and triangles, generated on the fly."""

from typing import NamedTuple

import numpy as np

from keras_dla.data.detection.source import DetectionSource
from keras_dla.data.validation import check_count

SHAPE_CLASSES = ("circle", "square", "triangle")

# Circumscribed radius over half the size, chosen for similar areas, and the number of corners.
_RADII = (1.0, 1.2, 1.35)
_CORNERS = (0, 4, 3)
# A shape is placed only where this share of it and of every other shape stays visible.
_VISIBLE = 0.5
_ATTEMPTS = 10


class ShapesSource(DetectionSource):
    """Circles, squares and triangles on textured backgrounds, with exact boxes and masks.

    An image has 1 to `max_shapes` shapes of random class, position, size, rotation, colour and
    grain. Later shapes may hide up to half of earlier ones, and the border may cut them off; masks
    cover the visible part, and a box is the smallest around its mask. Image `index` is a pure
    function of `seed`, `index` and the sizes, so another seed gives other images, for example for
    evaluation. See `CocoSource` for the entries of an example; all examples have masks.

    Args:
        size: int, the number of images.
        image_size: int, or pair of int (height, width), at least 32 each; defaults to `(128, 128)`.
        seed: int, at least 0; defaults to `0`.
        max_shapes: int, the largest number of shapes per image; defaults to `5`.
        shape_sizes: pair of int, the smallest and largest size in pixels (a circle's diameter), at
            least 8 and at most the shorter side of the image; defaults to `(16, 64)`.

    Raises:
        ValueError: If an argument is not as described above.

    Example:
    >>> from keras_dla.data import ShapesSource
    >>> source = ShapesSource(1000, image_size=128)
    >>> len(source), source.class_names
    (1000, ['circle', 'square', 'triangle'])
    >>> example = source[0]
    >>> example["image"].shape, example["masks"].shape[1:]
    ((128, 128, 3), (128, 128))
    """

    def __init__(
        self,
        size: int,
        image_size: int | tuple[int, int] = (128, 128),
        seed: int = 0,
        max_shapes: int = 5,
        shape_sizes: tuple[int, int] = (16, 64),
    ):
        self._size = check_count("size", size, minimum=1)
        sides = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
        if len(sides) != 2:
            raise ValueError(
                f"`image_size` must be an int or (height, width), but is {image_size!r}."
            )
        self.image_size = tuple(check_count("image_size", side, minimum=32) for side in sides)
        self.seed = check_count("seed", seed, minimum=0)
        self.max_shapes = check_count("max_shapes", max_shapes, minimum=1)
        self.shape_sizes = _checked_sizes(shape_sizes, min(self.image_size))
        self.class_names = list(SHAPE_CLASSES)
        self.category_ids = [1, 2, 3]

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> dict:
        """Returns example `index`."""
        index = self._check_index(index)
        random = np.random.Generator(
            np.random.Philox(np.random.SeedSequence(self.seed, spawn_key=(index,)))
        )
        image = _background(random, *self.image_size)
        shapes: list[_Shape] = []
        for _ in range(random.integers(1, self.max_shapes + 1)):
            shape = _place(random, self.shape_sizes, self.image_size, shapes)
            if shape is not None:
                shapes = [other.behind(shape) for other in shapes] + [shape]
                _paint(random, image, shape.mask)
        boxes = [_box(shape.mask) for shape in shapes]
        masks = [shape.mask for shape in shapes]
        return {
            "image": image,
            "image_id": index,
            "boxes": np.array(boxes, dtype="float32").reshape(-1, 4),
            "classes": np.array([shape.class_ for shape in shapes], dtype="int64"),
            "crowd": np.zeros(len(shapes), dtype="bool"),
            "masks": np.array(masks, dtype="uint8").reshape(-1, *self.image_size),
        }

    def info(self, index: int) -> dict:
        """Returns the `"image_id"`, `"height"` and `"width"` of image `index`."""
        height, width = self.image_size
        return {"image_id": self._check_index(index), "height": height, "width": width}


def _checked_sizes(sizes, longest):
    if not isinstance(sizes, tuple | list) or len(sizes) != 2:
        raise ValueError(f"`shape_sizes` must be a pair of integers, but is {sizes!r}.")
    least, greatest = (check_count("shape_sizes", size, minimum=8) for size in sizes)
    if not least <= greatest <= longest:
        raise ValueError(
            "`shape_sizes` must be in ascending order and at most the shorter side of the image "
            f"({longest}), but is {sizes!r}."
        )
    return least, greatest


def _background(random, height, width):
    """Returns a background of varying colour, with a grain."""
    # Random colours at the corners of squares of 16 to 64 pixels, interpolated bilinearly.
    cell = int(random.integers(16, 65))
    shape = (height // cell + 2, width // cell + 2, 3)
    corners = random.uniform(30, 226, 3) + random.uniform(-40, 40, shape)
    rows, columns = _interpolation(height, cell, shape[0]), _interpolation(width, cell, shape[1])
    colours = np.einsum("yr,rck,xc->yxk", rows, corners, columns, optimize=True)
    return _grained(random, colours, int(random.integers(1, 25)))


def _interpolation(length, cell, corners):
    places = np.arange(length)[:, None] / cell
    return np.clip(1 - np.abs(places - np.arange(corners)), 0, None)


def _grained(random, colours, strength):
    grain = random.integers(-strength, strength + 1, colours.shape, dtype="int16")
    return np.clip(colours + grain, 0, 255).astype("uint8")


class _Shape(NamedTuple):
    """A shape in an image: its visible part, and the number of pixels of the whole."""

    class_: int
    mask: np.ndarray
    pixels: int

    def behind(self, other):
        return self._replace(mask=self.mask & ~other.mask)

    def is_visible(self):
        return self.mask.sum() >= _VISIBLE * self.pixels


def _place(random, sizes, image_size, others):
    """Returns a shape where enough of every shape stays visible; `None` if no place was found."""
    class_ = int(random.integers(len(SHAPE_CLASSES)))
    for _ in range(_ATTEMPTS):
        radius = random.uniform(*sizes) / 2
        angle = random.uniform(0, 2 * np.pi)
        # At most half a radius beyond the border.
        y, x = (random.uniform(radius / 2, side - radius / 2) for side in image_size)
        shape = _draw(class_, radius * _RADII[class_], angle, y, x, image_size)
        if shape.is_visible() and all(other.behind(shape).is_visible() for other in others):
            return shape
    return None


def _draw(class_, radius, angle, y, x, image_size):
    """Returns a shape of this circumscribed radius; pixels beyond the border are counted too."""
    top, left = int(y - radius) - 1, int(x - radius) - 1
    side = int(2 * radius) + 4
    down = np.arange(top, top + side)[:, None] + 0.5 - y
    right = np.arange(left, left + side)[None, :] + 0.5 - x
    corners = _CORNERS[class_]
    if corners:
        inner = radius * np.cos(np.pi / corners)
        normals = angle + 2 * np.pi * np.arange(corners)[:, None, None] / corners
        window = np.all(down * np.sin(normals) + right * np.cos(normals) <= inner, axis=0)
    else:
        window = down**2 + right**2 <= radius**2
    height, width = image_size
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    mask = np.zeros(image_size, dtype="bool")
    mask[rows, columns] = window[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return _Shape(class_, mask, int(window.sum()))


def _paint(random, image, mask):
    """Fills a mask with a grained colour that differs from what it covers."""
    behind = image[mask].mean(axis=0)
    colour = random.uniform(0, 255, 3)
    while np.abs(colour - behind).max() < 70:
        colour = random.uniform(0, 255, 3)
    pixels = np.broadcast_to(colour, (int(mask.sum()), 3))
    image[mask] = _grained(random, pixels, int(random.integers(1, 25)))


def _box(mask):
    [rows] = np.nonzero(mask.any(axis=1))
    [columns] = np.nonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
