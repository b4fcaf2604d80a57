"""RoIAlign (He et al., 2017): what feature maps hold inside boxes, resampled to one size."""

from keras import ops

from keras_dla.detection.validation import check_positive_number
from keras_dla.ops.channels import spatial_axes
from keras_dla.utils.validation import (
    check_feature_map,
    check_positive_integer,
    standardize_data_format,
)

# Rows and columns that a box reads, enough for sides of 30 cells: from 28 cells on, a square box
# reads the next level of a pyramid.
WINDOW = 32


def roi_align(
    features,
    boxes,
    stride: float,
    output_size: int,
    indices=None,
    window: int = WINDOW,
    data_format: str | None = None,
):
    """Resamples the part of a feature map that lies in each box to `output_size` x `output_size`.

        out[i, j, c] = sum over y, x of Wy[i, y] Wx[j, x] F[y, x, c]

    Wy[i, y] is the mean, over the samples of bin i, of the weight that bilinear interpolation gives
    to row y. It is RoIAlign as MMDetection has it: half a cell is taken off the coordinates
    (`aligned`), a bin of a box that is n cells high has ceil(n / `output_size`) samples along this
    side (`sampling_ratio=0`), a sample more than one cell outside the map counts as 0 and one less
    far takes the nearest cell. A box without area gives zeros.

    Of each side, `window` rows or columns are read. The result is exact where the samples within
    reach of the map need no more than these, which is so for every side of at most `window - 2`
    cells and for any box if `window` is the map's size + 2. Along a longer side every s-th row is
    read, with the least s that reaches the end, and bilinear interpolation takes place between the
    rows that are read; a row beyond the map is its last row. The number of samples stays.

    Gradients flow to the features and not to the boxes.

    Args:
        features: `[maps, height, width, channels]` or channels first.
        boxes: `[batch, number, 4]`, corners (x1, y1, x2, y2) in pixels.
        stride: number of pixels a cell.
        output_size: integer.
        indices: integers `[batch, number]`, the map that each box reads; by default the boxes of
            the i-th entry of the batch read the i-th map.
        window: integer of at least 2, how many rows and columns of the map a box reads.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Returns:
        `[batch, number, output_size, output_size, channels]`, or
        `[batch, number, channels, output_size, output_size]` for channels first, in the features'
        dtype.

    Raises:
        ValueError: if a shape or an argument is not as described.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.ops.roi_align import roi_align
    >>> features = np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1)
    >>> boxes = np.array([[[2.0, 2.0, 6.0, 6.0]]], "float32")
    >>> crops = roi_align(features, boxes, stride=2, output_size=2, data_format="channels_last")
    >>> np.array(crops)[0, 0, :, :, 0].tolist()
    [[5.0, 6.0], [9.0, 10.0]]
    """
    data_format = standardize_data_format(data_format)
    features = ops.convert_to_tensor(features)
    check_feature_map("features", features.shape)
    boxes = _checked_boxes(boxes, output_size, window)
    height, width = _size(features, data_format)
    if indices is None:
        indices = _batch_numbers(boxes)
    cells = _rows_of_cells([features], data_format)
    begin = ops.cast(indices, "int32") * (height * width)
    windows = window, window
    crops = _crop(cells, begin, (height, width), boxes / stride - 0.5, output_size, windows)
    return _in_format(crops, data_format)


def pyramid_roi_align(
    maps: list,
    boxes,
    strides: list | tuple,
    output_size: int,
    finest_scale: float = 56,
    window: int | None = None,
    data_format: str | None = None,
):
    """Does `roi_align` on that level of a feature pyramid whose cells suit the box's size.

        level = floor(log2(sqrt(width * height) / finest_scale + 1e-6)), between 0 and the last

    So a box of the second to the last level but one is 14 to 28 cells in (geometric) mean size for
    MMDetection's scale of 56 pixels and its strides 4, 8, 16, 32. All levels' cells lie in one
    table, from which every box reads once, whatever its level.

    By default the window is 32, or more along a side of which the last level has over 30 cells, so
    that every box is exact there; and never more than reads the finest level whole. One departure
    from MMDetection remains: a long box of a finer level with a side of over 30 cells, for instance
    one twice as long as wide and over 21 cells in (geometric) mean size, has every second row read
    along this side, or fewer, and what lies between interpolated.

    Args:
        maps: list of `[batch, height, width, channels]` or channels first, finest first.
        boxes: `[batch, number, 4]`, corners (x1, y1, x2, y2) in pixels.
        strides: list of the maps' pixels a cell.
        output_size: integer.
        finest_scale: number, half the size in pixels from which on a box is of the second level.
        window: integer of at least 2, how many rows and columns of the map a box reads; by default
            as said above, or 32 where the size of a map is unknown.
        data_format: `"channels_last"` or `"channels_first"`; Keras's own by default.

    Returns:
        `[batch, number, output_size, output_size, channels]`, or
        `[batch, number, channels, output_size, output_size]` for channels first, in the maps'
        dtype.

    Raises:
        ValueError: if a shape or an argument is not as described.

    Example:
    >>> import numpy as np
    >>> from keras_dla.detection.ops.roi_align import pyramid_roi_align
    >>> maps = [np.full((1, 32 // n, 32 // n, 1), n, "float32") for n in (1, 2)]
    >>> boxes = np.array([[[8, 8, 40, 40], [0, 0, 120, 120]]], "float32")
    >>> crops = pyramid_roi_align(maps, boxes, (4, 8), 1, data_format="channels_last")
    >>> np.array(crops).ravel().tolist()
    [1.0, 2.0]
    """
    data_format = standardize_data_format(data_format)
    if not maps or len(maps) != len(strides):
        raise ValueError(
            f"`strides` must have one entry for each of the {len(maps)} `maps`, but is {strides!r}."
        )
    maps = [ops.convert_to_tensor(level) for level in maps]
    for level in maps:
        check_feature_map("maps", level.shape)
    check_positive_number("finest_scale", finest_scale)
    boxes = _checked_boxes(boxes, output_size, WINDOW if window is None else window)
    windows = _covering_windows(maps, data_format) if window is None else (window, window)
    heights, widths = zip(*(_size(level, data_format) for level in maps), strict=True)
    begins = [0]
    for height, width in zip(heights, widths, strict=True):
        begins.append(begins[-1] + height * width)
    levels = box_levels(boxes, len(maps), finest_scale)
    begin = _of_level(begins[:-1], levels) + _batch_numbers(boxes) * begins[-1]
    sizes = _of_level(heights, levels), _of_level(widths, levels)
    scales = ops.take(ops.convert_to_tensor([1.0 / s for s in strides], "float32"), levels, axis=0)
    cells = _rows_of_cells(maps, data_format)
    positions = boxes * scales[..., None] - 0.5
    return _in_format(_crop(cells, begin, sizes, positions, output_size, windows), data_format)


def box_levels(boxes, levels: int, finest_scale: float = 56):
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
    check_positive_integer("window", window)
    if window == 1:
        raise ValueError("`window` must be an integer of at least 2, but is 1.")
    boxes = ops.convert_to_tensor(boxes)
    if len(boxes.shape) != 3 or boxes.shape[-1] != 4:
        raise ValueError(
            f"`boxes` must have the shape (batch, number, 4), but has {tuple(boxes.shape)}."
        )
    return ops.stop_gradient(ops.cast(boxes, "float32"))


def _covering_windows(maps, data_format):
    """Returns how many rows and columns to read, so that a box of the last level reads them all."""
    sides = [[level.shape[axis] for level in maps] for axis in spatial_axes(data_format)]
    return tuple(_covering_window(*lengths) for lengths in sides)


def _covering_window(*lengths):
    if None in lengths:
        return WINDOW
    return min(max(lengths) + 2, max(WINDOW, lengths[-1] + 2))


def _size(features, data_format):
    shape = ops.shape(features)
    return shape[1:3] if data_format == "channels_last" else shape[2:4]


def _batch_numbers(boxes):
    """Returns `[batch, 1]`, the place of each box in the batch."""
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


def _in_format(crops, data_format):
    return crops if data_format == "channels_last" else ops.transpose(crops, (0, 1, 4, 2, 3))


def _crop(cells, begin, sizes, positions, output_size, windows):
    """Reads every box's window of cells and contracts its rows, then its columns.

    Args:
        cells: `[cells, channels]`.
        begin: `[batch, number]` or `[batch, 1]`, where the map of each box begins in `cells`.
        sizes: height and width of the maps, integers or `[batch, number]`.
        positions: `[batch, number, 4]`, corners in cells, 0 being the centre of the first cell.
        windows: how many rows and how many columns of its map a box reads.
    """
    height, width = windows
    sizes = [ops.expand_dims(ops.convert_to_tensor(size, "int32"), -1) for size in sizes]
    left, top, right, bottom = (positions[..., n : n + 1] for n in range(4))
    rows, row_weights = _axis_weights(top, bottom, sizes[0], output_size, height)
    columns, column_weights = _axis_weights(left, right, sizes[1], output_size, width)
    rows = rows * sizes[1] + begin[..., None]
    places = rows[..., :, None] + columns[..., None, :]
    row_weights = ops.cast(row_weights, cells.dtype)
    column_weights = ops.cast(column_weights, cells.dtype)
    # The weights have no gradient, so no backend has to keep what is read here.
    batch, number = ops.shape(positions)[:2]
    channels = cells.shape[-1]
    read = ops.reshape(ops.take(cells, places, axis=0), (batch, number, height, width * channels))
    contracted = ops.reshape(
        ops.matmul(row_weights, read), (batch, number, output_size, width, channels)
    )
    crops = ops.matmul(column_weights[:, :, None], contracted)
    # PyTorch multiplies float64 in float32 here.
    return ops.cast(crops, cells.dtype)


def _axis_weights(start, end, size, output_size, window):
    """The rows that boxes read, and what each contributes to every bin; likewise for columns.

    All samples of a box are equally spaced, `first`, `first + step`, ..., and those between two
    neighbouring rows that are read are an arithmetic series. So their weights' sum is their number
    times the weight of their mean, and no loop over the samples is needed.

    Args:
        start, end: `[batch, number, 1]`, the sides of the boxes in cells.
        size: integers that broadcast against `start`, the number of rows.

    Returns:
        `[batch, number, window]` int32 and `[batch, number, output_size, window]` float32.
    """
    size = ops.cast(size, "float32")
    side = end - start
    count = _whole_bins(side, output_size)
    step = side / (output_size * ops.maximum(count, 1.0))
    step = ops.where(count > 0, step, 1.0)
    first, last = start + step / 2, end - step / 2
    low = ops.floor(ops.clip(first, -1.0, size))
    high = ops.minimum(ops.floor(ops.clip(last, -1.0, size)) + 1, size)
    # Between whole numbers, so that no rounding of the division moves the ceiling.
    pace = ops.maximum(ops.ceil((high - low - 0.5) / (window - 1)), 1.0)
    slots = ops.arange(window, dtype="float32")
    rows = low + pace * slots

    # How many samples lie before each of the rows. Those out of the map's reach lie before the
    # first one (`low` is not below -1) or behind the last.
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
