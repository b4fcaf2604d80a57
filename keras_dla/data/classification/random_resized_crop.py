"""The window of a random resized crop, in TensorFlow operations."""

import math
from types import ModuleType

from keras_dla.utils.types import Tensor

ATTEMPTS = 10
AREA = (0.08, 1.0)
ASPECT_RATIO = (3 / 4, 4 / 3)


def random_window(tf: ModuleType, height: Tensor, width: Tensor, seed: Tensor) -> Tensor:
    """Draws a window of random area and aspect ratio by torchvision's rule.

    Up to ten times, an area of 0.08 to 1 times the image's is drawn uniformly, and a ratio of width
    to height of 3/4 to 4/3 uniformly in its logarithm. The first window that fits into the image is
    put at a random position. If none fits, the window is the largest one with a ratio in that
    range, in the image's centre.

    `keras_cv.layers.RandomCropAndResize` has a different rule: its ratio is relative to the image's
    own and uniformly distributed, and a window that does not fit is clipped, which makes its area
    smaller than the one drawn.

    Args:
        tf: the module `tensorflow`.
        height: integer tensor, the image's height in pixels.
        width: integer tensor, the image's width in pixels.
        seed: integer tensor of shape `(2,)`, the only source of randomness.

    Returns:
        An int32 tensor `[top, left, height, width]`.
    """
    rows, columns = tf.cast(height, "float32"), tf.cast(width, "float32")
    areas, ratios, downs, rights = tf.unstack(tf.random.stateless_uniform((4, ATTEMPTS), seed))
    areas = rows * columns * _between(AREA, areas)
    ratios = tf.exp(_between([math.log(ratio) for ratio in ASPECT_RATIO], ratios))
    heights, widths = tf.round(tf.sqrt(areas / ratios)), tf.round(tf.sqrt(areas * ratios))
    fits = (heights >= 1) & (heights <= rows) & (widths >= 1) & (widths <= columns)
    first = tf.argmax(fits)
    window = tf.stack(
        [
            tf.floor(downs[first] * (rows - heights[first] + 1)),
            tf.floor(rights[first] * (columns - widths[first] + 1)),
            heights[first],
            widths[first],
        ]
    )
    window = tf.where(tf.reduce_any(fits), window, _largest_central_window(tf, rows, columns))
    return tf.cast(window, "int32")


def _between(bounds, share):
    low, high = bounds
    return low + (high - low) * share


def _largest_central_window(tf, rows, columns):
    narrowest, widest = ASPECT_RATIO
    height = tf.minimum(rows, tf.maximum(tf.round(columns / narrowest), 1.0))
    width = tf.minimum(columns, tf.maximum(tf.round(rows * widest), 1.0))
    return tf.stack([(rows - height) // 2, (columns - width) // 2, height, width])
