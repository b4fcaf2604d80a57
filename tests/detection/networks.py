"""Small detectors with known weights, and images for them."""

import keras
import numpy as np

from keras_dla.data import DetectionDataset, ShapesSource
from keras_dla.models import ResNet

SMALL = {
    "classes": 3,
    "channels": 32,
    "head_units": 64,
    "anchor_scale": 4,
    "finest_scale": 28,
    "proposals": 50,
    "samples": 32,
    "max_detections": 20,
}


def small_backbone(interaction="dla_l", data_format=None):
    return ResNet(
        (1, 2, 1),
        interaction,
        stem="imagenet",
        planes=(8, 16, 16),
        include_top=False,
        data_format=data_format,
    )


def shapes(size=4, batch_size=4, side=64, mask_size=None, data_format=None):
    """Images that are the same in every epoch."""
    source = ShapesSource(size, side, max_shapes=2, shape_sizes=(20, 40))
    return DetectionDataset(
        source,
        batch_size,
        shorter_side=side,
        padded_shape=(side, side),
        flip=0.0,
        shuffle=False,
        max_objects=4,
        mask_size=mask_size,
        data_format=data_format,
    )


def fill(model, seed=1):
    """Gives a model weights that depend on the seed alone, not on the backend."""
    rng = np.random.default_rng(seed)
    model.set_weights([_values(weight, rng) for weight in model.weights])


def _values(weight, rng):
    if "seed_generator" in weight.path:
        return keras.ops.convert_to_numpy(weight)
    shape = tuple(weight.shape)
    if len(shape) < 2:
        return rng.uniform(0.5, 1.5, shape) if _is_scale(weight) else rng.normal(0, 0.1, shape)
    # Convolution kernels and matrices end in (inputs, outputs); depthwise ones in the channels.
    # Boxes near their anchors, and scores that are not all one.
    gain = 0.05 if "deltas" in weight.path else 0.1 if "box_head/logits" in weight.path else 1.5
    return rng.normal(0, np.sqrt(gain / np.prod(shape[:-1])), shape)


def _is_scale(weight):
    return weight.name.startswith(("gamma", "moving_variance"))
