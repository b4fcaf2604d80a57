import numpy as np
import pytest

from keras_dla.analysis import feature_scales
from keras_dla.analysis.feature_scales import scales_of_stage
from tests.analysis.models import DEPTH, features_of_layers, in_format, random_images, stage_model
from tests.layers.stages import CHANNELS, interaction
from tests.layers.test_paper_formulation import Weights, gap, scaled


def test_base_equals_the_equations():
    layer = interaction("dla_b", DEPTH, formulation="paper")
    weights, maps = Weights(layer), random_images()
    expected = np.ones((len(maps), DEPTH, DEPTH, CHANNELS))
    seen, c = [], np.tile(weights.c0, (len(maps), 1))
    for index, x in enumerate(features_of_layers(maps)):
        c = weights.dyn(gap(x), c)
        for m, old in enumerate(seen):
            expected[:, index, m] = weights.dyn(gap(old), c)
            seen[m] = scaled(old, expected[:, index, m])
        seen.append(x)
    (scales,) = feature_scales(stage_model(layer), in_format(maps, layer)).values()
    np.testing.assert_allclose(scales, expected, rtol=1e-4, atol=1e-5)


def test_light_has_one_vector_a_layer():
    layers = [{"scales": np.full((2, 3), index), "gate": np.ones((2, 1))} for index in range(4)]
    np.testing.assert_array_equal(
        scales_of_stage(layers)["scales"], np.full((2, 1, 3), 1) * np.c_[:4]
    )


@pytest.mark.parametrize("name", ["mrla_b", "mrla_l"])
def test_static_layers_are_left_out(name):
    layer = interaction(name, DEPTH)
    assert feature_scales(stage_model(layer), in_format(random_images(), layer)) == {}
