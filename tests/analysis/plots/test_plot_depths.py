import numpy as np
import pytest

from keras_dla.analysis.plots.plot_depths import plot_depths
from tests.backends import on_pytorch

pytestmark = on_pytorch

pytest.importorskip("matplotlib", reason="needs matplotlib, which draws")

ACCURACIES = {
    "cifar10": {"resnet": {20: [91.0]}},
    "cifar100": {"dla_l": {56: [75.0, 76.0, 77.0], 20: [72.0]}, "mine": {20: [50.0]}},
}


def legend(figure):
    (box,) = figure.legends
    return {text.get_text() for text in box.get_texts()}


def test_a_panel_a_data_set_and_a_line_an_interaction(tmp_path):
    figure = plot_depths(ACCURACIES, tmp_path / "a.png", title="ours")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    left, right = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["CIFAR-10", "CIFAR-100"]
    assert legend(figure) == {"ResNet", "ResNet, published", "DLA-L", "DLA-L, published", "mine"}
    lines = {tuple(line.get_xdata()): line.get_ydata() for line in right.lines[:1]}
    assert list(lines[20, 56]) == [72.0, 76.0]
    assert right.get_xticks().tolist() == [20, 56]
    assert all(axis.get_legend() is None for axis in (left, right))  # it would cover points


def test_an_interaction_has_one_colour_in_all_panels():
    """Also where a panel lacks another, which comes before it."""
    curves = {"a": {"resnet": {20: [1.0]}, "dla_l": {20: [2.0]}}, "b": {"dla_l": {20: [3.0]}}}
    left, right = plot_depths(curves, published=False).axes
    assert left.lines[-1].get_color() == right.lines[-1].get_color() != left.lines[0].get_color()


def test_bars_are_standard_deviations():
    figure = plot_depths({"cifar100": {"dla_l": {56: [75.0, 76.0, 77.0]}}}, published=False)
    (axis,) = figure.axes
    (bars,) = axis.collections
    np.testing.assert_allclose(bars.get_segments()[0], [[56, 75.0], [56, 77.0]])
    assert legend(figure) == {"DLA-L"}


def test_published_points_are_the_papers():
    (axis,) = plot_depths({"cifar100": {"resnet": {20: [60.0], 164: [70.0]}}}).axes
    dotted = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert dotted[0].get_xydata().tolist() == [[20.0, 67.30]]


def test_a_unit_has_its_own_published_point():
    figure = plot_depths({"cifar100": {"dla_l-lstm": {20: [70.0], 110: [75.0]}}})
    assert legend(figure) == {"DLA-L (LSTM)", "DLA-L (LSTM), published"}
    (axis,) = figure.axes
    (dotted,) = (line for line in axis.lines if line.get_linestyle() == ":")
    assert dotted.get_xydata().tolist() == [[110.0, 75.32]]


@pytest.mark.parametrize("empty", [{}, {"cifar10": {}}, {"cifar10": {"dla_l": {}}}])
def test_nothing_to_draw_is_an_error(empty):
    with pytest.raises(ValueError, match="`accuracies` must have at least one depth"):
        plot_depths(empty)
