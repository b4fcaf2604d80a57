import numpy as np
import pytest

from keras_dla.analysis.plots.plot_depths import plot_depths

pytest.importorskip("matplotlib", reason="needs matplotlib, which draws")

ACCURACIES = {
    "cifar10": {"resnet": {20: [91.0]}},
    "cifar100": {"dla_l": {56: [75.0, 76.0, 77.0], 20: [72.0]}, "mine": {20: [50.0]}},
}


def test_a_panel_a_data_set_and_a_line_an_interaction(tmp_path):
    figure = plot_depths(ACCURACIES, tmp_path / "a.png", title="ours")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    left, right = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["CIFAR-10", "CIFAR-100"]
    names = [text.get_text() for text in right.get_legend().get_texts()]
    assert set(names) == {"DLA-L", "DLA-L, published", "mine"}
    lines = {tuple(line.get_xdata()): line.get_ydata() for line in right.lines[:1]}
    assert list(lines[20, 56]) == [72.0, 76.0]
    assert right.get_xticks().tolist() == [20, 56]
    assert len(left.get_legend().get_texts()) == 2


def test_bars_are_standard_deviations():
    figure = plot_depths({"cifar100": {"dla_l": {56: [75.0, 76.0, 77.0]}}}, published=False)
    (axis,) = figure.axes
    (bars,) = axis.collections
    np.testing.assert_allclose(bars.get_segments()[0], [[56, 75.0], [56, 77.0]])
    assert len(axis.get_legend().get_texts()) == 1


def test_published_points_are_the_papers():
    (axis,) = plot_depths({"cifar100": {"resnet": {20: [60.0], 164: [70.0]}}}).axes
    dotted = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert dotted[0].get_xydata().tolist() == [[20.0, 67.30]]


def test_a_unit_has_its_own_published_point():
    (axis,) = plot_depths({"cifar100": {"dla_l-lstm": {20: [70.0], 110: [75.0]}}}).axes
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert sorted(names) == ["DLA-L (LSTM)", "DLA-L (LSTM), published"]
    (dotted,) = (line for line in axis.lines if line.get_linestyle() == ":")
    assert dotted.get_xydata().tolist() == [[110.0, 75.32]]


@pytest.mark.parametrize("empty", [{}, {"cifar10": {}}, {"cifar10": {"dla_l": {}}}])
def test_nothing_to_draw_is_an_error(empty):
    with pytest.raises(ValueError, match="`accuracies` must have at least one depth"):
        plot_depths(empty)
