"""RoIAlign (He et al., 2017): resamples the parts of feature maps inside boxes to a fixed size."""

from keras import ops

from keras_dla.detection.ops.roi_windows import crop_by_window, exact_windows
from keras_dla.detection.validation import check_positive_number, check_window
from keras_dla.ops.channels import spatial_axes
from keras_dla.ops.products import matmul
from keras_dla.ops.rows import take_rows
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import (
    check_feature_map,
    check_positive_integer,
    standardize_data_format,
)

# The rows and columns that a box reads if the size of a map is unknown.
WINDOW = 32


def roi_align(
    features: Tensor,
    boxes: Tensor,
    stride: float,
    output_size: int,
    indices: Tensor = None,
    window: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Resamples the part of a feature map inside each box to `output_size` x `output_size`.

        out[i, j, c] = sum over y, x of Wy[i, y] Wx[j, x] F[y, x, c]

    Wy[i, y] is the mean, over the samples of bin i, of the weight that bilinear interpolation gives
    to row y. This is RoIAlign as in MMDetection: half a cell is subtracted from the coordinates
    (`aligned`), a bin of a box that is n cells high has ceil(n / `output_size`) samples along this
    side (`sampling_ratio=0`), a sample more than one cell outside the map counts as 0, and one
    nearer to the map takes the nearest cell. A box without area gives zeros.

    With a `window`, at most this many rows or columns are read, which takes less time and is exact
    for sides of at most `window - 2` cells. Along a longer side every s-th row is read, with the
    smallest s that reaches the end, and values are interpolated bilinearly between the rows that
    are read; a row beyond the map is its last row. The number of samples does not change.

    Gradients flow to the features and not to the boxes.

    Args:
        features: `[maps, height, width, channels]` or channels first.
        boxes: `[batch, number, 4]`, corners (x1, y1, x2, y2) in pixels.
        stride: number of pixels per cell.
        output_size: integer.
        indices: integers `[batch, number]`, the map that each box reads; by default the boxes of
            the i-th entry of the batch read the i-th map.
        window: integer of at least 2, the largest number of rows and columns of the map that a box
            reads; defaults to None, as many as it needs, or 32 if the size of the map is unknown.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Returns:
        `[batch, number, output_size, output_size, channels]`, or
        `[batch, number, channels, output_size, output_size]` for channels first, in the features'
        dtype.

    Raises:
        ValueError: if a shape or an argument is not as described.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_dla.detection.ops.roi_align import roi_align
    >>> features = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    >>> boxes = np.array([[[2.0, 2.0, 6.0, 6.0]]], "float32")
    >>> crops = roi_align(features, boxes, stride=2, output_size=2, data_format="channels_last")
    >>> ops.convert_to_numpy(crops)[0, 0, :, :, 0].tolist()
    [[5.0, 6.0], [9.0, 10.0]]
    """
    data_format = standardize_data_format(data_format)
    features = ops.convert_to_tensor(features)
    check_feature_map("features", features.shape)
    boxes = _checked_boxes(boxes, output_size, window)
    height, width = _size(features, data_format)
    if indices is None:
        indices = _batch_numbers(boxes)
    maps = _Maps([features], data_format)
    begin = ops.cast(indices, "int32") * (height * width) + ops.zeros_like(boxes[..., 0], "int32")
    sizes = ops.zeros_like(boxes[..., :2]) + ops.cast(ops.stack([height, width]), "float32")
    windows = _windows([features], [stride], 1, window, data_format)
    return maps.crop(boxes / stride - 0.5, begin, sizes, output_size, windows)


def pyramid_roi_align(
    maps: list,
    boxes: Tensor,
    strides: list | tuple,
    output_size: int,
    finest_scale: float = 56,
    window: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Applies `roi_align` to the level of a feature pyramid that suits the size of each box.

        level = floor(log2(sqrt(width * height) / finest_scale + 1e-6)), between 0 and the last

    With MMDetection's scale of 56 pixels and strides 4, 8, 16 and 32, a box of the second to the
    last but one level therefore has a (geometric) mean size of 14 to 28 cells. The cells of all
    levels are in one table, from which every box reads once, whatever its level.

    Every box is read exactly, whatever its shape, through the smallest of a few windows that
    contains it; see `keras_dla.detection.ops.roi_windows`.

    Args:
        maps: list of `[batch, height, width, channels]` or channels first, finest first.
        boxes: `[batch, number, 4]`, corners (x1, y1, x2, y2) in pixels.
        strides: list of the maps' pixels per cell.
        output_size: integer.
        finest_scale: number, half the size in pixels from which a box belongs to the second level;
            defaults to `56`.
        window: integer of at least 2, the largest number of rows and columns of the map that a box
            reads, as in `roi_align`; defaults to None, as many as it needs, or 32 if the size of a
            map is unknown.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Returns:
        `[batch, number, output_size, output_size, channels]`, or
        `[batch, number, channels, output_size, output_size]` for channels first, in the maps'
        dtype.

    Raises:
        ValueError: if a shape or an argument is not as described.

    Example:
    >>> import numpy as np
    >>> from keras import ops
    >>> from keras_dla.detection.ops.roi_align import pyramid_roi_align
    >>> maps = [np.full((1, 32 // n, 32 // n, 1), n, "float32") for n in (1, 2)]
    >>> boxes = np.array([[[8, 8, 40, 40], [0, 0, 120, 120]]], "float32")
    >>> crops = pyramid_roi_align(maps, boxes, (4, 8), 1, data_format="channels_last")
    >>> ops.convert_to_numpy(crops).ravel().tolist()
    [1.0, 2.0]
    """
    data_format = standardize_data_format(data_format)
    if not maps or len(maps) != len(strides):
        raise ValueError(
            f"`strides` must have one entry per map ({len(maps)}), but is {strides!r}."
        )
    maps = [ops.convert_to_tensor(level) for level in maps]
    for level in maps:
        check_feature_map("maps", level.shape)
    check_positive_number("finest_scale", finest_scale)
    boxes = _checked_boxes(boxes, output_size, window)
    windows = _windows(maps, strides, finest_scale, window, data_format)
    heights, widths = zip(*(_size(level, data_format) for level in maps), strict=True)
    begins = [0]
    for height, width in zip(heights, widths, strict=True):
        begins.append(begins[-1] + height * width)
    levels = box_levels(boxes, len(maps), finest_scale)
    begin = _of_level(begins[:-1], levels) + _batch_numbers(boxes) * begins[-1]
    sizes = ops.stack([_of_level(heights, levels), _of_level(widths, levels)], axis=-1)
    scales = ops.take(ops.convert_to_tensor([1.0 / s for s in strides], "float32"), levels, axis=0)
    positions = boxes * scales[..., None] - 0.5
    sizes = ops.cast(sizes, "float32")
    return _Maps(maps, data_format).crop(positions, begin, sizes, output_size, windows)


def box_levels(boxes: Tensor, levels: int, finest_scale: float = 56) -> Tensor:
    """Returns the level of a feature pyramid that each box reads, `[batch, number]` int32.

    See `keras_dla.detection.ops.roi_align.pyramid_roi_align`.
    """
    boxes = ops.cast(boxes, "float32")
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    scale = ops.sqrt(ops.maximum(area, 0.0))
    level = ops.floor(ops.log2(scale / finest_scale + 1e-6))
    return ops.cast(ops.clip(level, 0, levels - 1), "int32")


def _checked_boxes(boxes, output_size, window):
    check_positive_integer("output_size", output_size)
    check_window("window", window)
    boxes = ops.convert_to_tensor(boxes)
    if len(boxes.shape) != 3 or boxes.shape[-1] != 4:
        raise ValueError(
            f"`boxes` must have the shape (batch, number, 4), but has {tuple(boxes.shape)}."
        )
    return ops.stop_gradient(ops.cast(boxes, "float32"))


def _windows(maps, strides, finest_scale, window, data_format):
    """Returns the windows through which boxes are read: the given one, or the exact ones."""
    if window is not None:
        return [(window, window)]
    shapes = [tuple(level.shape[axis] for axis in spatial_axes(data_format)) for level in maps]
    if any(None in shape for shape in shapes):
        return [(WINDOW, WINDOW)]
    return exact_windows(shapes, strides, finest_scale)


def _size(features, data_format):
    shape = ops.shape(features)
    return shape[1:3] if data_format == "channels_last" else shape[2:4]


def _batch_numbers(boxes):
    """Returns `[batch, 1]`, the index of each entry of the batch."""
    return ops.arange(ops.shape(boxes)[0], dtype="int32")[:, None]


def _of_level(values, levels):
    """Returns each box's entry of a list of integers, some of which may be tensors."""
    return ops.take(ops.convert_to_tensor(list(values), "int32"), levels, axis=0)


def _rows_of_cells(maps, data_format):
    """Returns `[cells, channels]`: image by image, level by level, row by row."""
    if data_format == "channels_first":
        maps = [ops.transpose(level, (0, 2, 3, 1)) for level in maps]
    channels = maps[0].shape[-1]
    flat = []
    for level in maps:
        batch, height, width = ops.shape(level)[:3]
        flat.append(ops.reshape(level, (batch, height * width, channels)))
    together = flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=1)
    return ops.reshape(together, (-1, channels))


class _Maps:
    """The cells of all maps in one table, from which boxes read."""

    def __init__(self, maps, data_format):
        self.cells = _rows_of_cells(maps, data_format)
        self.data_format = data_format

    def crop(self, positions, begin, sizes, output_size, windows):
        """Returns the crops of all boxes.

        Args:
            positions: `[batch, number, 4]`, corners in cells, 0 being the centre of the first cell.
            begin: int32 `[batch, number]`, the place in the table at which each box's map begins.
            sizes: float32 `[batch, number, 2]`, height and width of each box's map.
            output_size: integer, bins along each side.
            windows: list of pairs, the numbers of cells that a box may read along its longer and
                shorter side.
        """
        number, channels = positions.shape[1], self.cells.shape[-1]
        if number == 0:
            crops = ops.zeros((ops.shape(positions)[0], 0, output_size, output_size, channels))
            return self._in_format(ops.cast(crops, self.cells.dtype))
        left, top, right, bottom = ops.unstack(ops.reshape(positions, (-1, 4)), 4, axis=-1)
        height, width = ops.unstack(ops.reshape(sizes, (-1, 2)), 2, axis=-1)
        down, across = ops.stack([top, bottom, height], -1), ops.stack([left, right, width], -1)
        needed = ops.stack([_needed(side, output_size) for side in (down, across)], axis=-1)
        is_upright = (needed[:, 0] >= needed[:, 1])[:, None]
        sides = ops.where(is_upright, down, across), ops.where(is_upright, across, down)
        width = ops.cast(width, "int32")[:, None]
        paces = ops.where(is_upright, width, 1), ops.where(is_upright, 1, width)
        begin = ops.reshape(begin, (-1, 1))

        def read(window, *parts):
            return self._read(window, output_size, *parts)

        needed = ops.stack([ops.max(needed, axis=-1), ops.min(needed, axis=-1)], axis=-1)
        crops = crop_by_window(read, windows, needed, (*sides, *paces, begin))
        is_upright = is_upright[..., None, None]
        crops = ops.where(is_upright, crops, ops.transpose(crops, (0, 2, 1, 3)))
        shape = (-1, number, output_size, output_size, channels)
        return self._in_format(ops.reshape(crops, shape))

    def _in_format(self, crops):
        last = self.data_format == "channels_last"
        return crops if last else ops.transpose(crops, (0, 1, 4, 2, 3))

    def _read(self, window, output_size, longer, shorter, longer_pace, shorter_pace, begin):
        """Reads the cells of some boxes and contracts their longer sides, then their shorter ones.

        Args:
            window: pair of integers, the cells that are read along a box's longer and shorter side.
            output_size: integer, bins along each side.
            longer: `[boxes, 3]`, start and end of the longer side, and the map's cells along it.
            shorter: the same for the shorter side.
            longer_pace: int32 `[boxes, 1]`, the distance in the table from one cell to the next
                along the longer side.
            shorter_pace: the same along the shorter side.
            begin: int32 `[boxes, 1]`, the place in the table at which the box's map begins.
        """
        cells, (long, short) = self.cells, window
        rows, row_weights = _axis_weights(longer, output_size, long)
        columns, column_weights = _axis_weights(shorter, output_size, short)
        places = (rows * longer_pace + begin)[:, :, None] + (columns * shorter_pace)[:, None, :]
        # The weights have no gradient, so no backend needs to keep what is read here.
        channels = cells.shape[-1]
        read = ops.reshape(take_rows(cells, places), (-1, long, short * channels))
        contracted = matmul(ops.cast(row_weights, cells.dtype), read)
        contracted = ops.reshape(contracted, (-1, output_size, short, channels))
        return matmul(ops.cast(column_weights, cells.dtype)[:, None], contracted)


def _samples(side, output_size):
    """Returns the samples of boxes along a side: first, step, number per bin, and their range.

    Args:
        side: `[boxes, 3]`, start and end in cells, and the number of cells of the map.
        output_size: integer, bins along the side.
    """
    start, end, size = side[:, :1], side[:, 1:2], side[:, 2:]
    count = _whole_bins(end - start, output_size)
    step = (end - start) / (output_size * ops.maximum(count, 1.0))
    step = ops.where(count > 0, step, 1.0)
    first, last = start + step / 2, end - step / 2
    low = ops.floor(ops.clip(first, -1.0, size))
    high = ops.minimum(ops.floor(ops.clip(last, -1.0, size)) + 1, size)
    return first, step, count, low, high


def _needed(side, output_size):
    """Returns the number of cells that boxes read along a side, `[boxes]` int32."""
    *_, low, high = _samples(side, output_size)
    return ops.cast(ops.maximum(high - low, 0.0)[:, 0], "int32") + 1


def _axis_weights(side, output_size, window):
    """Returns the rows (or columns) that boxes read, and what each contributes to every bin.

    All samples of a box are equally spaced, `first`, `first + step`, ..., and those between two
    neighbouring rows that are read form an arithmetic series. The sum of their weights is therefore
    their number times the weight of their mean, and no loop over the samples is needed.

    Args:
        side: `[boxes, 3]`, start and end in cells, and the number of cells of the map.
        output_size: integer, bins along the side.
        window: integer, the number of rows that are read.

    Returns:
        `[boxes, window]` int32 and `[boxes, output_size, window]` float32.
    """
    size = side[:, 2:]
    first, step, count, low, high = _samples(side, output_size)
    # Halfway between integers, so that rounding in the division does not change the ceiling.
    pace = ops.maximum(ops.ceil((high - low - 0.5) / max(window - 1, 1)), 1.0)
    slots = ops.arange(window, dtype="float32")
    rows = low + pace * slots

    # The number of samples before each of the rows. Those out of the map's range are before the
    # first one (`low` is not below -1) or after the last.
    first = first - low
    seen = ops.floor((size - low - first) / step) + 1
    before = ops.ceil((pace * slots - first) / step)
    before = ops.where(slots == window - 1, seen, before)
    before = ops.minimum(before, ops.minimum(seen, output_size * count))
    bins = ops.arange(output_size, dtype="float32")[:, None] * count[..., None]
    before = ops.minimum(ops.maximum(before[..., None, :], bins), bins + count[..., None])

    number = before[..., 1:] - before[..., :-1]
    mean = first[..., None] + step[..., None] * (before[..., 1:] + before[..., :-1] - 1) / 2
    later = number * (mean / pace[..., None] - slots[:-1])
    none = ops.zeros_like(before[..., :1])
    weights = ops.concatenate([number - later, none], -1) + ops.concatenate([none, later], -1)
    weights = weights / ops.maximum(count, 1.0)[..., None]
    return ops.cast(ops.clip(rows, 0, size - 1), "int32"), weights


def _whole_bins(side, output_size):
    """Returns ceil(side / output_size), at least 0; exact where XLA's division is not."""
    nearest = ops.round(side / output_size)
    more = ops.cast(side > nearest * output_size, "float32")
    return ops.maximum(nearest + more, 0.0)
