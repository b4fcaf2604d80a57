import builtins
import warnings

import numpy as np
import pytest

from keras_dla.analysis import AttentionScores, plot_attention
from tests.backends import on_pytorch

pytestmark = on_pytorch

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)


def scores(layers=2, batch=3, heads=2):
    return RNG.uniform(size=(batch, heads, layers, layers)) * np.tri(layers)


def panels(figure):
    """The axes with an image, without the colour bar."""
    return [axis for axis in figure.axes if axis.images]


def drawn(axis):
    return axis.images[0].get_array()


def test_draws_the_mean_below_the_diagonal():
    array = scores(4)
    (panel,) = panels(plot_attention({"stage": array}))
    below = np.tri(4, dtype=bool)
    np.testing.assert_allclose(drawn(panel)[below], array.mean((0, 1))[below])
    assert np.ma.getmaskarray(drawn(panel))[~below].all()


def test_one_panel_a_stage_on_one_scale():
    stages = {"stage1_interaction": scores(2), "stage2_interaction": scores(3), "mine": scores(8)}
    figure = plot_attention(stages, title="the title")
    assert [axis.get_title() for axis in panels(figure)] == ["stage 1", "stage 2", "mine"]
    largest = max(array.mean((0, 1)).max() for array in stages.values())
    for axis in panels(figure):
        assert axis.images[0].get_clim() == pytest.approx((0, largest))
    assert figure.get_suptitle() == "the title"
    assert "attention score" in figure.axes[-1].get_ylabel()


def test_axes_count_layers_from_one():
    (panel,) = panels(plot_attention({"stage": scores(3)}))
    assert panel.get_xlabel() == "key layer"
    assert panel.get_ylabel() == "query layer"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["1", "2", "3"]
    # Layer 1 asks at the top.
    assert panel.images[0].get_extent() == [0.5, 3.5, 3.5, 0.5]


def test_few_layers_are_numbered_and_many_are_not():
    array = scores(2)
    small, large = panels(plot_attention({"small": array, "large": scores(18)}))
    mean = array.mean((0, 1))
    texts = {text.get_position(): text.get_text() for text in small.texts}
    assert texts == {
        (1, 1): f"{mean[0, 0]:.2f}",
        (1, 2): f"{mean[1, 0]:.2f}",
        (2, 2): f"{mean[1, 1]:.2f}",
    }
    assert not large.texts
    assert len(large.get_xticks()) <= 10


def test_static_and_dynamic_side_by_side():
    static, dynamic = {"stage3_interaction": scores(3)}, {"stage3_interaction": scores(3)}
    figure = plot_attention({"static": static, "dynamic": dynamic})
    left, right = panels(figure)
    assert [left.get_title(), right.get_title()] == ["static: stage 3", "dynamic: stage 3"]
    assert left.get_subplotspec().rowspan == right.get_subplotspec().rowspan
    expected = dynamic["stage3_interaction"].mean((0, 1))
    np.testing.assert_allclose(drawn(right).compressed(), expected[np.tri(3, dtype=bool)])


def test_a_group_with_fewer_stages_leaves_a_gap():
    figure = plot_attention({"a": {"s": scores(), "t": scores()}, "b": {"s": scores()}})
    assert [axis.get_title() for axis in panels(figure)] == ["a: s", "b: s", "a: t"]


def test_negative_scores_are_on_the_scale():
    (panel,) = panels(plot_attention({"stage": -scores(2)}))
    low, high = panel.images[0].get_clim()
    assert low < 0 == high


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("title", [None, "title"])
def test_nothing_is_cut_off(columns, title):
    figure = plot_attention({str(n): {"s": scores(4)} for n in range(columns)}, title=title)
    figure.draw_without_rendering()
    for axis in figure.axes:
        for text in (axis.title, axis.xaxis.label, axis.yaxis.label):
            box = text.get_window_extent()
            inside = box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1
            assert inside or not text.get_text(), text.get_text()


def test_scores_are_drawn_times_the_scales_of_the_values():
    array = np.tri(2).reshape(1, 1, 2, 2)
    figure = plot_attention(AttentionScores({"s": array}, weights={"s": array / 4}))
    (panel,) = panels(figure)
    assert panel.images[0].get_array()[1, 0] == 0.25
    assert "score × scale of the values" in figure.axes[-1].get_ylabel()


@pytest.mark.parametrize("stars", [(), ("s",)])
def test_an_approximation_is_named(stars):
    light = AttentionScores({"s": scores(), "t": scores()}, approximate=stars)
    figure = plot_attention({"light": light, "other": {"u": scores()}})
    titles = {panel.get_title() for panel in panels(figure)}
    assert ("light: s *" in titles) == bool(stars) and "light: t" in titles
    assert ("approximation" in figure.get_supxlabel()) == bool(stars)


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml"), ("a", b"\x89PNG")],
)
def test_writes_the_file_and_nothing_else(tmp_path, name, start):
    plot_attention({"stage": scores()}, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def half(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    (tmp_path / "a.png").write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="no space"):
        plot_attention({"stage": scores()}, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="must be in an existing folder"):
        plot_attention({"stage": scores()}, tmp_path / "missing" / "a.png")


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({}, "but `scores` is empty"),
        (scores(), "but `scores` is ndarray"),
        ({"static": {}}, "`scores` must .* but 'static' is empty"),
        ({"static": {"s": scores()}, "dynamic": scores()}, "'dynamic' is ndarray"),
        ({"stage": np.zeros((2, 2))}, r"'stage' has shape \(2, 2\)"),
        ({"stage": np.zeros((1, 1, 2, 3))}, r"'stage' has shape \(1, 1, 2, 3\)"),
    ],
)
def test_bad_scores_are_one_sentence(bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        plot_attention(bad)


def test_a_missing_matplotlib_names_the_extra(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(f"No module named {name!r}")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"plot_attention needs matplotlib: .*keras-dla\[plot\]"):
        plot_attention({"stage": scores()})


def test_no_warning_and_no_window(tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_attention({"stage": scores(7)}, tmp_path / "a.png")
    assert plt.get_fignums() == before
