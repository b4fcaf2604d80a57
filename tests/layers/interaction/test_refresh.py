"""DLA-B keeps one map a layer and equals the loop that rewrites all of them."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_dla.layers import LayerInteraction
from keras_dla.models import ResNet
from keras_dla.ops.channels import global_average_pool
from tests.golden import assert_close
from tests.layers.stages import channels_first, interaction, random_maps, run


def rewriting_loop(layer, branches, shortcuts):
    """The authors' form: every old key and every old map is rewritten at every layer."""
    attention, data_format = layer.attention, layer.data_format
    keys, values, outputs = [], [], []
    context = layer.unit.get_initial_state(branches.shape[1])
    for index, (branch, shortcut) in enumerate(zip(branches, shortcuts, strict=True)):
        x = ops.convert_to_tensor(np.maximum(branch + shortcut, 0).transpose(0, 2, 3, 1))
        y = ops.mean(x, axis=(1, 2))
        _, context = layer.unit(y, context)
        for m in range(index):
            of_key, _ = layer.unit(keys[m], context)
            of_value, _ = layer.unit(global_average_pool(values[m], data_format), context)
            keys[m] = keys[m] * of_key
            values[m] = values[m] * of_value[:, None, None, :]
        keys.append(attention.keys[index](y))
        values.append(attention.values[index](x))
        query = attention.queries[index](y)
        products = [ops.reshape(query * key, (-1, 2, 32)) for key in keys]
        powers = [ops.exp(ops.sum(product, axis=-1) / 32**0.5) for product in products]
        scores = [ops.repeat(power / sum(powers), 32, axis=-1) for power in powers]
        output = sum(
            value * score[:, None, None, :] for value, score in zip(values, scores, strict=True)
        )
        output = ops.relu(attention.norms[index](output))
        outputs.append(channels_first(x + output, data_format))
    return np.stack(outputs)


@settings(deadline=None, max_examples=8)
@given(
    batch=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    depth=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_equals_the_loop_that_rewrites_every_old_map(batch, height, width, depth, seed):
    layer = interaction("dla_b", depth, seed=seed)
    branches, shortcuts = random_maps(depth, batch, height, width, seed=seed)
    outputs, _ = run(layer, branches, shortcuts)
    assert_close(outputs, rewriting_loop(layer, branches, shortcuts), 1e-5)


@pytest.mark.parametrize("formulation", ["official", "paper"])
def test_the_state_grows_by_vectors_only(formulation):
    """Of the last layer, it has no pooled features, which no layer reads."""
    layer = interaction("dla_b", 4, formulation=formulation)
    branches, shortcuts = random_maps(4)
    state = None
    for index in range(4):
        branch, shortcut = (maps[index].transpose(0, 2, 3, 1) for maps in (branches, shortcuts))
        _, state = layer(branch, state, shortcut=shortcut, index=index)
        memory = state["memory"]
        assert len(memory["values"]) == 4
        assert len({id(value) for value in memory["values"]}) == index + 1
        for name in ("keys", "pooled", "scales"):
            layers = 3 if name == "pooled" and index == 3 else index + 1
            assert tuple(memory[name].shape) == (3, layers, 64)


class StackedMaps(LayerInteraction):
    """The form to avoid: all maps in one tensor, summed by one multiplication."""

    def build(self, features_shape, state_shape=None, shortcut_shape=None):
        self.build_channels(features_shape)
        self.scales = [
            self.add_weight(name=f"scale_{index}", shape=(index + 1, 1, 1, 1, 1))
            for index in range(self.depth)
        ]

    def call(self, features, state=None, shortcut=None, index=0):
        x = self.merge(features, shortcut)
        maps = [*(state[:index] if index else []), x]
        x = x + ops.sum(ops.stack(maps) * self.scales[index], axis=0)
        return x, maps + [maps[-1]] * (self.depth - len(maps))

    def state_spec(self, features, state, shortcut, index):
        return [keras.KerasTensor(features.shape, self.compute_dtype) for _ in range(self.depth)]


if keras.backend.backend() == "torch":
    import torch

    @functools.cache
    def kept_bytes(interaction, depth):
        """What autograd saves in one training-mode forward pass, every storage once."""
        model = ResNet(depth, interaction, classes=10, data_format="channels_first")
        storages = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            # The graph keeps the tensor, so that no other can take its place in memory.
            return tensor

        images = torch.ones((1, 3, 32, 32))
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output = model(images, training=True)
        weights = {w.value.untyped_storage().data_ptr() for w in model.weights}
        assert output.requires_grad
        return sum(size for place, size in storages.items() if place not in weights)

    def growth(interaction):
        """Of the bytes kept beyond the plain network's, from 3 to 12 layers a stage."""
        extra = [kept_bytes(interaction, depth) - kept_bytes(None, depth) for depth in (29, 110)]
        assert extra[0] > 0
        return extra[1] / extra[0]

    def test_memory_of_dla_b_grows_linearly_with_the_layers():
        assert growth("dla_b") < 5.5

    def test_the_count_would_notice_stacked_maps():
        assert growth(StackedMaps(1, data_format="channels_first")) > 8
