"""Every network in every format, at a fixed and at a free image size."""

import functools

import pytest

from keras_dla.interop.exporting import FORMATS
from tests.backends import thorough
from tests.interop.exports import (
    FREE,
    HERE,
    SHAPE,
    assert_computes,
    exported,
    images,
    network,
    traced_once,  # noqa: F401, a fixture
)
from tests.models.test_every_network import NAMES

pytestmark = thorough
# With four stages, AA and NL have their settings for ImageNet.
IMAGENET = {"stem": "imagenet", "depth": (1, 1, 1, 2), "planes": (8,) * 4}
SETTINGS = {
    "fixed": {"input_shape": SHAPE},
    "free": {"input_shape": FREE},
    "channels_first": {"input_shape": (3, None, None), "data_format": "channels_first"},
    "imagenet": {"input_shape": FREE, **IMAGENET},
}
# Shapes of images whose maps halve evenly once, or not at all.
SHAPES = {
    "fixed": [SHAPE],
    "free": [(9, 14, 3), (7, 7, 3)],
    "channels_first": [(3, 9, 14)],
    "imagenet": [(50, 69, 3)],
}
# The formats of one network one after the other, which PyTorch traces once.
CASES = [(name, setting, format) for name in NAMES for setting in SETTINGS for format in HERE]


@functools.lru_cache(maxsize=1)
def network_of(name, setting):
    return network(name, **SETTINGS[setting])


@pytest.mark.parametrize(("name", "setting", "format"), CASES)
def test_every_network_in_every_format(tmp_path, name, setting, format):
    """`verify` runs batches of 1, 3 and 7."""
    model = network_of(name, setting)
    run = exported(model, tmp_path / ("network" + FORMATS[format].suffix), format, verify=True)
    for shape in SHAPES[setting]:
        for batch in (1, 2):
            assert_computes(run, model, images(batch, shape))
