"""The formulation "paper" against Eq. 1-9, written down in NumPy as the paper has them."""

import keras
import numpy as np
import pytest

from tests.golden import assert_close
from tests.layers.stages import interaction, random_maps, run

HEAD = 32


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gap(x):
    """Eq. 4, of NCHW maps."""
    return x.mean((2, 3))


def scaled(maps, vector):
    return maps * vector[:, :, None, None]


def along_channels(y, kernel):
    """1-D convolution of [batch, C] along C, zero-padded."""
    half = len(kernel) // 2
    padded = np.pad(y, ((0, 0), (half, half)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=1)
    return windows @ kernel


def depthwise(x, kernel):
    """3x3 convolution of every channel, zero-padded; kernel [3, 3, C]."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("bchwij,ijc->bchw", windows, kernel)


def batch_norm(x, norm, training):
    gamma, beta, mean, variance = norm
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    shape = (1, -1, 1, 1)
    normal = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5)
    return normal * gamma.reshape(shape) + beta.reshape(shape)


def by_head(q, k):
    """Q K^T / sqrt(D_k) of every head: [batch, heads]."""
    return (q * k).reshape(len(q), -1, HEAD).sum(-1) / np.sqrt(HEAD)


def softmax(logits):
    """Over the first axis."""
    powers = np.exp(logits - logits.max(0))
    return powers / powers.sum(0)


def to_channels(scores):
    return np.repeat(scores, HEAD, axis=-1)


class Weights:
    """The weights of a layer of ours, in float64."""

    def __init__(self, layer):
        attention = getattr(layer, "attention", layer)
        self.q = [array(f.kernel) for f in attention.queries]
        self.k = [array(f.kernel) for f in attention.keys]
        self.v = [array(f.kernel) for f in attention.values]
        self.norms = [
            [array(w) for w in (bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance)]
            for bn in attention.norms
        ]
        self.decays = [array(w) for w in getattr(attention, "decays", [])]
        unit = getattr(layer, "unit", None)
        if unit is not None:
            self.w1, self.c0 = array(unit.reduce_kernel), array(unit.initial_context)
            self.w2_i, self.w2_f, self.w2_c = np.split(array(unit.expand_kernel), 3, axis=1)
            self.b_i, self.b_f, self.b_c = np.split(array(unit.expand_bias), 3)

    def dyn(self, y, c):
        """Eq. 7-9."""
        s = np.maximum(np.concatenate([sigmoid(c), y], 1) @ self.w1, 0)
        candidate = np.tanh(s @ self.w2_c + self.b_c)
        i = sigmoid(s @ self.w2_i + self.b_i)
        f = sigmoid(s @ self.w2_f + self.b_f)
        return f * c + i * candidate


def array(weight):
    return keras.ops.convert_to_numpy(weight).astype("float64")


def layer_features(branches, shortcuts):
    """x^l of every layer: ReLU(branch + shortcut), or the branch where there is no shortcut."""
    branches = [branch.astype("float64") for branch in branches]
    if shortcuts is None:
        return branches
    return [np.maximum(b + s, 0) for b, s in zip(branches, shortcuts, strict=True)]


def base(weights, features, training, dynamic):
    """Eq. 1, 2, and before them Eq. 4-6 where `dynamic`."""
    outputs, seen, c = [], [], None
    for x in features:
        layer = len(seen)
        if dynamic:
            start = np.tile(weights.c0, (len(x), 1)) if c is None else c
            c = weights.dyn(gap(x), start)
            seen = [scaled(old, weights.dyn(gap(old), c)) for old in seen]
        seen = [*seen, x]
        q = along_channels(gap(x), weights.q[layer])
        keys = [along_channels(gap(old), weights.k[m]) for m, old in enumerate(seen)]
        values = [depthwise(old, weights.v[m]) for m, old in enumerate(seen)]
        scores = softmax(np.stack([by_head(q, k) for k in keys]))
        o = sum(scaled(v, to_channels(s)) for v, s in zip(values, scores, strict=True))
        outputs.append(x + np.maximum(batch_norm(o, weights.norms[layer], training), 0))
    return np.stack(outputs)


def light(weights, features, training, dynamic, gate=sigmoid):
    """Eq. 3, and before it Eq. 4-6 applied to the running output where `dynamic`."""
    outputs, o, c = [], np.zeros_like(features[0]), None
    for layer, x in enumerate(features):
        y = gap(x)
        if dynamic:
            start = np.tile(weights.c0, (len(x), 1)) if c is None else c
            c = weights.dyn(y, start)
            o = scaled(o, weights.dyn(gap(o), c))
        q, k = along_channels(y, weights.q[layer]), along_channels(y, weights.k[layer])
        score = to_channels(gate(by_head(q, k)))
        o = o * weights.decays[layer].reshape(1, -1, 1, 1)
        o = o + scaled(depthwise(x, weights.v[layer]), score)
        outputs.append(x + batch_norm(o, weights.norms[layer], training))
    return np.stack(outputs)


EQUATIONS = {
    "mrla_b": (base, False),
    "mrla_l": (light, False),
    "dla_b": (base, True),
    "dla_l": (light, True),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("with_shortcut", [True, False])
@pytest.mark.parametrize("name", EQUATIONS)
def test_the_layer_equals_the_equations(name, with_shortcut, training):
    equations, dynamic = EQUATIONS[name]
    branches, shortcuts = random_maps(4)
    shortcuts = shortcuts if with_shortcut else None
    layer = interaction(name, 4, formulation="paper")
    weights = Weights(layer)
    expected = equations(weights, layer_features(branches, shortcuts), training, dynamic)
    outputs, _ = run(layer, branches, shortcuts, training)
    assert_close(outputs, expected, 1e-5)


@pytest.mark.parametrize("name", ["mrla_l", "dla_l"])
def test_the_gate_is_a_sigmoid_where_eq_3_has_the_softmax_over_one_key(name):
    """The departure of design.md, fact 4: that softmax is the constant 1."""
    branches, shortcuts = random_maps(3)
    layer = interaction(name, 3, formulation="paper")
    weights, features = Weights(layer), layer_features(branches, shortcuts)
    dynamic = EQUATIONS[name][1]
    literal = light(weights, features, False, dynamic, gate=lambda score: softmax(score[None])[0])
    outputs, _ = run(layer, branches, shortcuts)
    assert np.abs(outputs - literal).max() > 0.1
    as_we_have_it = light(weights, features, False, dynamic, gate=sigmoid)
    assert_close(outputs, as_we_have_it, 1e-5)


@pytest.mark.parametrize("name", ["dla_b", "dla_l", "mrla_l"])
def test_the_papers_network_is_another_than_the_authors(name):
    branches, shortcuts = random_maps(3)
    outputs = {}
    for formulation in ("paper", "official"):
        layer = interaction(name, 3, formulation=formulation)
        outputs[formulation], _ = run(layer, branches, shortcuts)
    assert np.abs(outputs["paper"] - outputs["official"]).max() > 0.1


def test_mrla_b_is_the_same_in_all_formulations():
    branches, shortcuts = random_maps(3)
    paper, official, verbatim = (
        run(interaction("mrla_b", 3, formulation=formulation), branches, shortcuts)[0]
        for formulation in ("paper", "official", "verbatim")
    )
    np.testing.assert_array_equal(paper, official)
    np.testing.assert_array_equal(verbatim, official)
