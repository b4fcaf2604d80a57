"""PyTorch's feature maps taken in parts, which those of a test are too small for."""

import contextlib
from unittest import mock

import keras


def in_parts(parted: bool):
    """A context in which every image of a batch is a part of its own, where asked for."""
    if not parted or keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    return mock.patch("keras_dla.ops.torch.batch_slices.BYTES", 1)
