import numpy as np
import pytest

from keras_dla.analysis import attention_scores, figure_2
from keras_dla.models import ResNet
from tests.backends import on_pytorch

pytest.importorskip("matplotlib", reason="needs matplotlib, which draws")

IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="module")
def networks():
    return {
        name: ResNet(20, name, classes=10, data_format="channels_last")
        for name in ("mrla_b", "dla_b", "dla_l")
    }


@on_pytorch
def test_shows_static_dynamic_and_dynamic_times_scales(networks, tmp_path):
    path = tmp_path / "figure2.svg"
    figure = figure_2(networks["mrla_b"], networks["dla_b"], IMAGES, path, stage=2)
    shown = {axis.get_title(): axis.images[0].get_array() for axis in figure.axes[:3]}
    static = attention_scores(networks["mrla_b"], IMAGES)["stage2_interaction"]
    dynamic = attention_scores(networks["dla_b"], IMAGES)
    for title, scores in {
        "static": static,
        "dynamic": dynamic["stage2_interaction"],
        "dynamic × scales": dynamic.weights["stage2_interaction"],
    }.items():
        expected = scores.mean(axis=(0, 1))[np.tril_indices(2)]
        drawn = shown[f"{title}: stage 2"].filled(np.nan)[np.tril_indices(2)]
        np.testing.assert_allclose(drawn, expected, rtol=1e-5)
    assert path.read_text().startswith("<?xml")


@on_pytorch
def test_a_light_network_has_two_panels(networks):
    figure = figure_2(networks["mrla_b"], networks["dla_l"], IMAGES)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert len(panels) == 2


@on_pytorch
@pytest.mark.parametrize("stage", [4, "mine"])
def test_a_stage_that_is_none_is_one_sentence(networks, stage):
    with pytest.raises(
        ValueError, match=r"^`stage` must be a stage of `static`, which has stage1_"
    ):
        figure_2(networks["mrla_b"], networks["dla_b"], IMAGES, stage=stage)
