"""One stage of every network against arrays computed with the authors' code."""

from functools import partial

import keras
import pytest

from keras_dla.interop import load_official_checkpoint
from keras_dla.interop.official_names import official_entries
from keras_dla.layers.block_attention.block_attention import BlockPlace
from keras_dla.models.blocks import bottleneck
from keras_dla.models.resnet import resolve_interaction
from keras_dla.models.stage import stage
from tests import golden
from tests.backends import all_on_pytorch
from tests.gradients import gradients

CASES = [
    *((name, "official", "channels_last") for name in golden.NETWORKS),
    ("dla_l", "official", "channels_first"),
    ("dla_b", "verbatim", "channels_last"),
    # Formats and formulations are of our own code, whichever backend runs it.
    ("dla_l", "verbatim", "channels_last"),
    *((name, "official", "channels_first") for name in golden.NETWORKS if name != "dla_l"),
    ("dla_b", "verbatim", "channels_first"),
    ("dla_l", "verbatim", "channels_first"),
]
EVERYWHERE = len(golden.NETWORKS) + 2


def build_stage(name, formulation, data_format, depth=3):
    interaction, prefix = golden.NETWORKS[name]
    options = {} if name in ("resnet", "senet", "ecanet") else {"formulation": formulation}
    interaction = resolve_interaction(interaction, "cifar", data_format, options)

    def block(x, branch_input, place, block_name, attention):
        return bottleneck(x, branch_input, 16, 1, data_format, block_name, "ones", attention)

    shape = (None, None, 16) if data_format == "channels_last" else (16, None, None)
    images = keras.Input(shape)
    places = [BlockPlace(0, 1, index, depth, planes=16, strides=1) for index in range(depth)]
    outputs, _ = stage(images, places, block, interaction, "stage1")
    return keras.Model(images, outputs), prefix


@pytest.mark.parametrize(("name", "formulation", "data_format"), all_on_pytorch(CASES, EVERYWHERE))
def test_stage_equals_the_authors(name, formulation, data_format):
    suffix = "_verbatim" if formulation == "verbatim" else ""
    arrays = golden.load(f"stage_{name}{suffix}")
    model, prefix = build_stage(name, formulation, data_format)
    load_official_checkpoint(model, golden.part(arrays, "state/", prefix))
    to_format = partial(golden.as_format, data_format=data_format)
    images = to_format(arrays["input"])

    output = model(images, training=False)
    golden.assert_close(output, to_format(arrays["output_eval"]), 1e-5)

    output, input_grad, weight_grads = gradients(model, images, to_format(arrays["cotangent"]))
    golden.assert_close(output, to_format(arrays["output_train"]), 1e-5)
    golden.assert_close(input_grad, to_format(arrays["input_grad"]), 2e-5)
    expected = golden.part(arrays, "grad/", prefix)
    checked = 0
    for entry in official_entries(model):
        if entry.name in expected:
            grad = entry.kind.to_torch(weight_grads[id(entry.variable)])
            golden.assert_close(grad, expected[entry.name], 2e-5)
            checked += 1
    assert checked == len(expected) == len(model.trainable_variables)
