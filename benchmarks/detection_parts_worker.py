"""Runs one form of one part of a detector: one step for every line that it reads."""

import json
import sys
import time

import keras
import numpy as np
from keras import ops
from worker import answer, peak_memory

from keras_dla.detection.ops.boxes import intersection_over_union
from keras_dla.detection.ops.non_maximum_suppression import non_maximum_suppression
from keras_dla.detection.ops.roi_align import box_levels, pyramid_roi_align

STRIDES = (4, 8, 16, 32)
IOU_THRESHOLD = 0.7


def random_boxes(settings, number):
    """Boxes of all sizes, spread evenly on a logarithmic scale, cut at the image's border."""
    generator = np.random.default_rng(0)
    shape = (settings["batch_size"], number)
    height, width = settings["size"]
    scale = np.exp(generator.uniform(np.log(16), np.log(600), shape))
    ratio = np.exp(generator.normal(0, 0.25, shape))
    x, y = generator.uniform(0, width, shape), generator.uniform(0, height, shape)
    half = scale * ratio / 2, scale / ratio / 2
    boxes = np.stack([x - half[0], y - half[1], x + half[0], y + half[1]], -1)
    return np.clip(boxes, 0, [width, height, width, height]).astype("float32")


def random_maps(settings):
    generator = np.random.default_rng(1)
    height, width = settings["size"]
    return [
        generator.standard_normal(
            (settings["batch_size"], height // s, width // s, settings["channels"]), "float32"
        )
        for s in STRIDES
    ]


def roi_align_ours(settings):
    size, window = settings["output_size"], settings["window"]
    return lambda maps, boxes: pyramid_roi_align(
        maps, boxes, STRIDES, size, window=window, data_format="channels_last"
    )


def roi_align_by_level(settings):
    """Every level crops every box; what belongs to another level is multiplied by zero."""
    size = settings["output_size"]

    def crop(maps, boxes):
        levels = box_levels(boxes, len(maps))
        total = 0
        for number, (features, stride) in enumerate(zip(maps, STRIDES, strict=True)):
            own = ops.cast(levels == number, "float32")[..., None, None, None]
            total = total + own * crop_level(features, boxes, stride, size)
        return total

    return crop


def crop_level(features, boxes, stride, size):
    """RoIAlign of one level with 2x2 samples a bin and four neighbours a sample."""
    batch, height, width, channels = ops.shape(features)
    positions = boxes / stride - 0.5
    rows = neighbours(positions[..., 1], positions[..., 3], height, size)
    columns = neighbours(positions[..., 0], positions[..., 2], width, size)
    cells = ops.reshape(features, (-1, channels))
    begin = (ops.arange(batch, dtype="int32") * (height * width))[:, None, None, None]
    total = 0
    for y, y_weight in rows:
        for x, x_weight in columns:
            read = ops.take(cells, begin + y[..., :, None] * width + x[..., None, :], axis=0)
            total = total + read * (y_weight[..., :, None] * x_weight[..., None, :])[..., None]
    number = boxes.shape[1]
    return ops.mean(ops.reshape(total, (batch, number, size, 2, size, 2, channels)), axis=(3, 5))


def neighbours(start, end, cells, size):
    """The two rows around every sample of a side, and their weights: `[batch, number, 2 size]`."""
    share = (ops.arange(2 * size, dtype="float32") + 0.5) / (2 * size)
    sample = start[..., None] + (end - start)[..., None] * share
    seen = ops.cast((sample >= -1) & (sample <= cells), "float32")
    sample = ops.clip(sample, 0, cells - 1)
    before = ops.minimum(ops.floor(sample), cells - 2)
    weight = sample - before
    before = ops.cast(before, "int32")
    return (before, (1 - weight) * seen), (before + 1, weight * seen)


def suppression_ours(settings):
    return lambda boxes, scores: non_maximum_suppression(
        boxes, scores, IOU_THRESHOLD, settings["kept"]
    )[0]


def suppression_one_by_one(settings):
    kept = settings["kept"]

    def suppress(boxes, scores):
        def next_box(number, state):
            scores, chosen = state
            best = ops.cast(ops.argmax(scores, axis=1), "int32")
            one = ops.take_along_axis(boxes, best[:, None, None], axis=1)
            overlapping = intersection_over_union(one, boxes)[:, 0] > IOU_THRESHOLD
            itself = ops.arange(scores.shape[1], dtype="int32") == best[:, None]
            scores = ops.where(overlapping | itself, -np.inf, scores)
            here = ops.arange(kept, dtype="int32") == number
            return scores, ops.where(here, best[:, None], chosen)

        chosen = ops.zeros((settings["batch_size"], kept), "int32")
        return ops.fori_loop(0, kept, next_box, (scores, chosen))[1]

    return suppress


FORMS = {
    ("roi_align", "ours"): roi_align_ours,
    ("roi_align", "2x2 samples, level by level"): roi_align_by_level,
    ("suppression", "ours"): suppression_ours,
    ("suppression", "one by one"): suppression_one_by_one,
}


def arguments_of(settings):
    if settings["part"] == "roi_align":
        return random_maps(settings), random_boxes(settings, settings["boxes"])
    boxes = random_boxes(settings, settings["candidates"])
    return boxes, np.random.default_rng(2).random(boxes.shape[:2], "float32")


def jax_steps(form, first, second, settings):
    import jax

    first, second = jax.tree.map(jax.numpy.asarray, (first, second))
    forward = jax.jit(form)
    train = jax.jit(jax.grad(lambda *given: (form(*given) ** 2).sum()))
    return (
        lambda: jax.block_until_ready(forward(first, second)),
        lambda: jax.block_until_ready(train(first, second)),
    )


def tensorflow_steps(form, first, second, settings):
    import tensorflow as tf

    first, second = tf.nest.map_structure(tf.constant, (first, second))
    function = tf.function(jit_compile=settings["jit_compile"])
    forward = function(form)

    @function
    def train(first, second):
        with tf.GradientTape() as tape:
            tape.watch(first)
            loss = tf.reduce_sum(form(first, second) ** 2)
        return [tf.convert_to_tensor(grad) for grad in tape.gradient(loss, first)]

    return (
        lambda: forward(first, second).numpy(),
        lambda: [grad.numpy() for grad in train(first, second)],
    )


def torch_steps(form, first, second, settings):
    import torch

    first = keras.tree.map_structure(ops.convert_to_tensor, first)
    second = keras.tree.map_structure(ops.convert_to_tensor, second)

    def forward():
        with torch.no_grad():
            form(first, second).cpu()

    def train():
        watched = [x.detach().requires_grad_() for x in first]
        for grad in torch.autograd.grad((form(watched, second) ** 2).sum(), watched):
            grad.cpu()

    return forward, train


def main() -> None:
    settings = json.loads(sys.argv[1])
    form = FORMS[settings["part"], settings["form"]](settings)
    make = {"jax": jax_steps, "tensorflow": tensorflow_steps, "torch": torch_steps}
    infer, train = make[keras.backend.backend()](form, *arguments_of(settings), settings)
    steps = {"infer": infer, "train": train}
    for kind in ("infer", "train") if settings["part"] == "roi_align" else ("infer",):
        steps[kind]()
    answer(peak_memory())
    for line in sys.stdin:
        if line.strip() == "memory":
            answer(peak_memory())
            continue
        start = time.perf_counter()
        steps[line.strip()]()
        answer(time.perf_counter() - start)


if __name__ == "__main__":
    main()
