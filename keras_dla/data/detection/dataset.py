"""Batches of images with their objects, for the training and evaluation of detectors."""

import functools
import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_dla.data.classification.augmentation import draw_epoch
from keras_dla.data.detection.augmentation import DetectionAugmentation
from keras_dla.data.detection.object_targets import choose_objects, pad_objects
from keras_dla.data.detection.preparation import ImagePreparation
from keras_dla.data.detection.transforms import flip, padded_shape_of, resize, resized_shape
from keras_dla.data.epoch_dataset import EpochDataset
from keras_dla.data.normalization import IMAGENET_MEAN, IMAGENET_STD, normalize, scale_and_shift
from keras_dla.data.validation import check_count
from keras_dla.utils.validation import standardize_data_format


class DetectionDataset(EpochDataset):
    """Batches of resized, flipped, normalised and padded images with their objects.

    Each image is resized so that its shorter side is `shorter_side`, or less if its longer side
    would exceed `longer_side`; mirrored with probability `flip`; normalised; and padded with zeros
    at the bottom and on the right. Boxes and masks are transformed with it. Crowds, and objects
    with less than a pixel inside the image, are left out; images without objects are kept.

    Every batch is a pure function of `(seed, epoch, index)`, and every batch is full: the last one
    is filled up with the first images of the epoch. Pass `shuffle=False` to `model.fit`: this data
    set has shuffled its images already. The epoch advances in `on_epoch_end` once all of its
    batches have been read.

    A batch is a pair `(x, y)` of dictionaries:

    - `x["images"]`: float32 `(batch, height, width, 3)`, or `(batch, 3, height, width)`;
    - `x["sizes"]`: int32 `(batch, 2)`, height and width of the image inside its padding;
    - `y["boxes"]`: float32 `(batch, max_objects, 4)`, (x1, y1, x2, y2) in pixels of `images`;
    - `y["classes"]`: int32 `(batch, max_objects)`, -1 where there is no object;
    - `y["masks"]`, with `mask_size`: uint8 `(batch, max_objects, mask_size, mask_size)`, each
      object inside its own box.

    Args:
        source: sequence of examples such as `CocoSource`, `TfdsSource` or `ShapesSource`.
        batch_size: int, images per batch.
        shorter_side: int, the limit of an image's shorter side; defaults to `800`.
        longer_side: int, the limit of an image's longer side; defaults to `1333`.
        padded_shape: pair of int (height, width), multiples of 32, to which every batch is padded;
            an image that would exceed it is made smaller, and `common_padded_shape` finds the
            smallest shape that holds all images; defaults to `None`, the smallest shape that holds
            the batch, which differs from batch to batch: JAX then compiles a program for each
            shape, and TensorFlow does not know the size, which `FasterRCNN` and `MaskRCNN` need.
        flip: float, the probability that an image is mirrored; defaults to `0.5`. Set it to 0 for
            validation.
        shuffle: bool, whether every epoch has its own order; defaults to `True`. Set it to `False`
            for validation.
        seed: int, at least 0; defaults to `0`.
        max_objects: int, the largest number of objects per image; if there are more, the largest
            objects are kept; defaults to `100`.
        mask_size: int, the cells along each side of a mask, or `None` for no masks; defaults to
            `None`.
        mean: sequence of 3 floats, in units of the white level (0 to 1); defaults to `(0.485,
            0.456, 0.406)`.
        std: sequence of 3 floats, in the same unit; defaults to `(0.229, 0.224, 0.225)`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting; defaults
            to `None`.
        initial_epoch: int, the epoch to start with, counted from 0; defaults to `0`. Give
            `model.fit` the same.
        workers: int, the number of threads that prepare the next batches while one is in use; 0 for
            none; defaults to `0`. They do not change the batches.
        augmentation: `DetectionAugmentation`, further random changes of every image; defaults to
            `None`. Leave it out for validation.

    Raises:
        ValueError: If an argument is not as described above.

    Example:
    >>> from keras_dla.data import DetectionDataset, ShapesSource
    >>> source = ShapesSource(10, image_size=(64, 96), shape_sizes=(16, 32))
    >>> dataset = DetectionDataset(
    ...     source, batch_size=4, shorter_side=64, mask_size=28, data_format="channels_last"
    ... )
    >>> len(dataset)
    3
    >>> x, y = dataset[0]
    >>> x["images"].shape, x["sizes"][0].tolist()
    ((4, 64, 96, 3), [64, 96])
    >>> y["boxes"].shape, y["classes"].shape, y["masks"].shape
    ((4, 100, 4), (4, 100), (4, 100, 28, 28))
    """

    def __init__(
        self,
        source: Any,
        batch_size: int,
        shorter_side: int = 800,
        longer_side: int = 1333,
        padded_shape: tuple[int, int] | None = None,
        flip: float = 0.5,
        shuffle: bool = True,
        seed: int = 0,
        max_objects: int = 100,
        mask_size: int | None = None,
        mean: Any = IMAGENET_MEAN,
        std: Any = IMAGENET_STD,
        data_format: str | None = None,
        initial_epoch: int = 0,
        workers: int = 0,
        augmentation: DetectionAugmentation | None = None,
    ):
        super().__init__(check_count("initial_epoch", initial_epoch, minimum=0))
        _check_source(source)
        self.source = source
        self.batch_size = check_count("batch_size", batch_size, minimum=1)
        self.preparation = ImagePreparation(
            shorter_side, longer_side, mean, std, _checked_shape(padded_shape, shorter_side)
        )
        self.padded_shape = self.preparation.padded_shape
        self.flip = _checked_probability(flip)
        self.shuffle = bool(shuffle)
        self.seed = check_count("seed", seed, minimum=0)
        self.max_objects = check_count("max_objects", max_objects, minimum=1)
        self.mask_size = _checked_mask_size(mask_size, source)
        self.scale, self.shift = scale_and_shift(mean, std)
        self.data_format = standardize_data_format(data_format)
        self._ahead = _Ahead(self._batch, check_count("workers", workers, minimum=0))
        self.augmentation = augmentation
        self._numbers: np.ndarray | None = None
        self._class_names = _names_of(source)

    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes in the order of their numbers; `None` if the source has none."""
        return self._class_names

    def number_classes(self, names: Sequence[str]) -> None:
        """Changes the numbering of the classes from now on.

        Args:
            names: sequence of str, the class of each number; it may contain classes that the source
                does not have.

        Raises:
            ValueError: when a class of the source is not among them.
        """
        known = _names_of(self.source) or []
        missing = [name for name in known if name not in names]
        if missing or not known:
            raise ValueError(
                f"`names` must have every class of the source, but {list(names)} lacks "
                f"{missing or 'all'}."
            )
        self._class_names = list(names)
        self._numbers = np.array([self._class_names.index(name) for name in known], "int32")
        self._ahead = self._ahead.anew()

    def __len__(self) -> int:
        return -(-len(self.source) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[dict, dict]:
        """Batch `index` of the present epoch.

        Args:
            index: int, from 0 to `len(self) - 1`.

        Returns:
            A pair `(x, y)`, as described above.

        Raises:
            IndexError: If there is no batch `index`.
        """
        self.note_batch(index)
        following = range(index + 1, len(self))
        return self._ahead.get((self.epoch, index), ((self.epoch, other) for other in following))

    def records(self, index: int) -> list[dict]:
        """Returns what is needed to map the boxes of batch `index` back to the original images.

        Args:
            index: int, from 0 to `len(self) - 1`.

        Returns:
            A list of dictionaries, one per image in the order of the batch, without images that
            only fill up the last batch:

            - `"image_id"`: int; `"height"` and `"width"`: int, of the image in the source;
            - `"scale"`: pair of float, the factors by which its height and width were resized;
            - `"flipped"`: bool, whether it was mirrored after that.

        Raises:
            IndexError: If there is no batch `index`.
        """
        self._check_index(index)
        if self.augmentation is not None:
            raise ValueError(
                "`augmentation` must be None if detections are mapped back to the images, but is "
                f"{self.augmentation}."
            )
        places = self._places(self.epoch, index)
        count = min(self.batch_size, len(self.source) - index * self.batch_size)
        return [self._record(number, flipped) for number, flipped in places[:count]]

    def _check_index(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, but is {index}.")

    def _places(self, epoch, index):
        """Returns the images of a batch, and whether each is mirrored."""
        size = len(self.source)
        order = draw_epoch(size, self.seed, epoch, self.shuffle).order
        flips = _draw_flips(size, self.seed, epoch, self.flip)
        places = np.arange(index * self.batch_size, (index + 1) * self.batch_size) % size
        return list(zip(order[places].tolist(), flips[places].tolist(), strict=True))

    def _record(self, number, flipped):
        info = _info(self.source, number)
        height, width = self._resized_shape(info["height"], info["width"])
        scale = (height / info["height"], width / info["width"])
        return info | {"scale": scale, "flipped": flipped}

    def _resized_shape(self, height, width, shorter_side=None):
        sides = shorter_side or self.preparation.shorter_side, self.preparation.longer_side
        return resized_shape(height, width, *sides, self.padded_shape)

    def _batch(self, place):
        samples = [self._sample(place[0], *where) for where in self._places(*place)]
        sizes = [sample["image"].shape[:2] for sample in samples]
        shape = self.padded_shape or padded_shape_of(sizes)
        x = {
            "images": self._stack([sample["image"] for sample in samples], *shape),
            "sizes": np.array(sizes, dtype="int32"),
        }
        return x, pad_objects(samples, self.max_objects)

    def _sample(self, epoch, number, flipped):
        example, shorter_side = self.source[number], None
        if self.augmentation is not None:
            # One random stream per image and epoch, separate from those of the order and the
            # mirroring.
            sequence = np.random.SeedSequence(self.seed, spawn_key=(epoch, 3, number))
            random = np.random.Generator(np.random.Philox(sequence))
            example = self.augmentation(example, random)
            shorter_side = self.augmentation.shorter_side(self.preparation.shorter_side, random)
        sample = choose_objects(example, self.max_objects, self.mask_size)
        if self._numbers is not None:
            sample["classes"] = self._numbers[sample["classes"]]
        height, width, _ = sample["image"].shape
        sample = resize(sample, *self._resized_shape(height, width, shorter_side))
        return flip(sample) if flipped else sample

    def _stack(self, images, height, width):
        """Normalises the images, and pads them with zeros, which stand for the mean."""
        last = self.data_format == "channels_last"
        shape = (height, width, 3) if last else (3, height, width)
        stacked = np.zeros((len(images), *shape), dtype="float32")
        for place, image in zip(stacked, images, strict=True):
            rows, columns, _ = image.shape
            where = place[:rows, :columns] if last else place[:, :rows, :columns]
            where[:] = normalize(image[None], self.scale, self.shift, self.data_format)[0]
        return stacked


def common_padded_shape(
    source: Any, *others: Any, shorter_side: int, longer_side: int
) -> tuple[int, int]:
    """Returns the smallest padded shape that holds every image of one or more sources.

    With it as `padded_shape` of a `DetectionDataset`, all batches have the same shape, and images
    are as large as without it, except for rounding. Portrait and landscape images together need
    about a square.

    Args:
        source: sequence of examples, as for `DetectionDataset`. Its images are not read if
            it has a method `info`, as `CocoSource` has.
        *others: further sources.
        shorter_side: int, the limit of an image's shorter side, as for `DetectionDataset`.
        longer_side: int, the limit of an image's longer side.

    Returns:
        The height and width, multiples of 32.

    Raises:
        ValueError: If an argument is not as described above.

    Example:
    >>> from keras_dla.data import ShapesSource, common_padded_shape
    >>> lying, upright = ShapesSource(2, image_size=(64, 96)), ShapesSource(2, image_size=(96, 64))
    >>> common_padded_shape(lying, shorter_side=100, longer_side=166)
    (128, 160)
    >>> common_padded_shape(lying, upright, shorter_side=100, longer_side=166)
    (160, 160)
    """
    check_count("shorter_side", shorter_side, minimum=1)
    check_count("longer_side", longer_side, minimum=shorter_side)
    shapes = set()
    for each in (source, *others):
        _check_source(each)
        for number in range(len(each)):
            info = _info(each, number)
            shapes.add((info["height"], info["width"]))
    return padded_shape_of(resized_shape(*shape, shorter_side, longer_side) for shape in shapes)


class _Ahead:
    """Calls a function, and prepares its results for the next batches in threads.

    Keras's own workers read ahead, even in an epoch that is then cut short, so that the data set
    could not know in which epoch it is.
    """

    def __init__(self, function, workers):
        self._function = function
        self._workers = workers
        self._threads = None
        self._results = {}
        self._lock = threading.Lock()

    def anew(self) -> "_Ahead":
        """Returns a copy without results."""
        return _Ahead(self._function, self._workers)

    def get(self, place, following):
        if not self._workers:
            return self._function(place)
        with self._lock:
            self._threads = self._threads or ThreadPoolExecutor(self._workers)
            wanted = [place, *itertools.islice(following, self._workers)]
            for stale in self._results.keys() - set(wanted):
                self._results.pop(stale).cancel()
            for other in wanted:
                if other not in self._results:
                    self._results[other] = self._threads.submit(self._function, other)
            result = self._results.pop(place)
        return result.result()


@functools.lru_cache(maxsize=8)
def _draw_flips(size, seed, epoch, probability):
    # A random stream separate from the two of `draw_epoch`.
    sequence = np.random.SeedSequence(seed, spawn_key=(epoch, 2))
    return np.random.Generator(np.random.Philox(sequence)).random(size) < probability


def _info(source, number):
    if hasattr(source, "info"):
        return source.info(number)
    example = source[number]
    height, width, _ = example["image"].shape
    return {"image_id": example["image_id"], "height": height, "width": width}


def _names_of(source):
    names = getattr(source, "class_names", None)
    return None if names is None else list(names)


def _check_source(source):
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__") or len(source) == 0:
        raise ValueError(
            "`source` must be a sequence of at least one example, such as a CocoSource, but is a "
            f"{type(source).__name__}."
        )


def _checked_shape(shape, shorter_side):
    if shape is None:
        return None
    sides = shape if isinstance(shape, tuple | list) else ()
    if len(sides) != 2 or any(type(side) is not int or side < 1 or side % 32 for side in sides):
        raise ValueError(
            "`padded_shape` must be a pair (height, width) of multiples of 32, or None, but is "
            f"{shape!r}."
        )
    # One side may be smaller: long images reach `longer_side` before `shorter_side`.
    if max(sides) < shorter_side:
        raise ValueError(
            f"`padded_shape` must be at least `shorter_side` ({shorter_side}) in height or "
            f"width, but is {shape!r}."
        )
    return tuple(sides)


def _checked_probability(flip):
    if isinstance(flip, bool) or not isinstance(flip, int | float) or not 0 <= flip <= 1:
        raise ValueError(f"`flip` must be a probability from 0 to 1, but is {flip!r}.")
    return float(flip)


def _checked_mask_size(mask_size, source):
    if mask_size is None:
        return None
    if "masks" not in source[0]:
        raise ValueError(
            "`mask_size` must be None for a `source` without masks (CocoSource has them with "
            f"masks=True), but is {mask_size!r}."
        )
    return check_count("mask_size", mask_size, minimum=1)
