"""Whole networks against logits and losses computed with the authors' code."""

import keras
import numpy as np
import pytest

from keras_dla.interop import load_official_checkpoint
from keras_dla.models import ResNet, used_options
from tests import golden
from tests.backends import all_on_pytorch

CASES = [
    *((name, "official", "channels_last") for name in golden.NETWORKS),
    ("dla_b", "official", "channels_first"),
    ("dla_l", "verbatim", "channels_last"),
    # Formats and formulations are of our own code, whichever backend runs it.
    *((name, "official", "channels_first") for name in golden.NETWORKS if name != "dla_b"),
    ("dla_b", "verbatim", "channels_last"),
]
EVERYWHERE = len(golden.NETWORKS) + 2


def build_network(name, formulation, data_format):
    interaction = golden.NETWORKS[name][0]
    options = used_options(f"{interaction or 'resnet'}_29", formulation=formulation)
    return ResNet(
        29,
        interaction,
        classes=100,
        classifier_activation=None,
        data_format=data_format,
        **options,
    )


@pytest.mark.parametrize(("name", "formulation", "data_format"), all_on_pytorch(CASES, EVERYWHERE))
def test_network_equals_the_authors(name, formulation, data_format):
    arrays = golden.load_shared(f"cifar_{name}_29")
    suffix = "_verbatim" if formulation == "verbatim" else ""
    model = build_network(name, formulation, data_format)
    prefix = "module." if data_format == "channels_first" else ""
    load_official_checkpoint(model, golden.part(arrays, "state/", prefix))
    images = golden.as_format(arrays["input"], data_format)
    golden.assert_close(model(images, training=False), arrays["logits_eval" + suffix], 1e-5)

    logits = model(images, training=True)
    golden.assert_close(logits, arrays["logits_train" + suffix], 1e-5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(arrays["labels"], logits)
    expected = float(arrays["loss_train" + suffix])
    assert abs(float(np.asarray(keras.ops.convert_to_numpy(loss))) - expected) < 1e-5 * expected


@pytest.mark.parametrize("name", ["dla_b", "dla_l"])
def test_the_verbatim_arrays_are_others(name):
    """Otherwise the tests of the two formulations could not tell them apart."""
    arrays = golden.load_shared(f"cifar_{name}_29")
    difference = np.abs(arrays["logits_train"] - arrays["logits_train_verbatim"]).max()
    assert difference > 1e-3 * np.abs(arrays["logits_train"]).max()
