"""Draws the pictures of the site from the arrays that `measure.py` left.

KERAS_BACKEND=torch python docs/pictures/draw.py
"""

from pathlib import Path

import keras
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from keras_dla.layers import DIAUnit, DynamicLayerAttention, DynamicSharingUnit, LSTMUnit

FOLDER = Path(__file__).parent
# Of the colour-blind safe palette of Okabe and Ito.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#6a6a6a"
# Narrow, so that the letters stay readable on a phone.
WIDTH = 6.2
STYLE = {"font.size": 11, "axes.titlesize": 12, "svg.hashsalt": "keras_dla"}


def new(height, rows=1, columns=1, **ratios):
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **ratios)


def save(figure, name):
    figure.savefig(FOLDER / f"{name}.svg", dpi=110, metadata={"Date": None})


def canvas(axis, width, height, title=None):
    """Makes an axis a sheet to draw on, with units of equal length."""
    axis.set(xlim=(0, width), ylim=(0, height), aspect="equal", title=title)
    axis.set_axis_off()


def box(axis, x, y, text, color=GREY, width=1.2, height=0.7):
    corner = (x - width / 2, y - height / 2)
    style = {"facecolor": "white", "edgecolor": color, "linewidth": 1.8}
    axis.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.03", **style))
    axis.text(x, y, text, ha="center", va="center")


def dot(axis, x, y, text, color):
    """Draws the place where two values meet, with the operation in it."""
    axis.plot(x, y, "o", markersize=17, markerfacecolor="white", color=color, markeredgewidth=1.6)
    axis.text(x, y, text, ha="center", va="center", color=color)


def arrow(axis, start, end, color=GREY, text="", bend=0.0, width=1.6, shift=(0.0, 0.0), **style):
    axis.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle=style.pop("arrowstyle", "-|>"),
            connectionstyle=f"arc3,rad={bend}",
            mutation_scale=13,
            color=color,
            linewidth=width,
            shrinkA=2,
            shrinkB=2,
            **style,
        )
    )
    x, y = (np.add(start, end) / 2) + shift
    axis.text(x, y, text, color=color, ha="center", va="center")


def stage(measured):
    """A photograph, the maps of the blocks, and what each block reads of those before it."""
    maps, weights = measured["maps"], measured["dynamic_weights_1"]
    figure, axes = new(2.3)
    axis = axes[0, 0]
    canvas(axis, 12.1, 4.3)
    show(axis, measured["image"], 0.95, 1.7)
    axis.text(0.95, 0.45, "image", ha="center")
    places = [3.1 + 1.65 * block for block in range(len(maps))]
    arrow(axis, (1.75, 1.7), (places[0] - 0.75, 1.7), linestyle="--")
    for block, (x, image) in enumerate(zip(places, maps, strict=True)):
        show(axis, image, x, 1.7, cmap="cividis")
        axis.text(x, 0.45, f"block {block + 1}", ha="center", size=10)
        if block:
            for read in range(block):
                arc(axis, places[read], x, weights[block, read])
    axis.text(0.1, 3.9, "read of an earlier block (score x scale)", color=BLUE)
    save(figure, "stage")


def arc(axis, read, asking, weight):
    """Draws how much the block at `asking` reads of the one at `read`, if it can be seen."""
    if weight < 0.03:
        return
    start, end = (read + 0.15, 2.5), (asking - 0.15, 2.5)
    arrow(axis, start, end, BLUE, bend=-0.5, width=1 + 6 * weight, alpha=0.7)
    # Above the top of the arc, which is at half the height of its control point.
    height = 2.75 + 0.25 * (end[0] - start[0])
    middle = {"ha": "center", "va": "center", "size": 9}
    axis.text((read + asking) / 2, height, f"{weight:.2f}", color=BLUE, **middle)


def show(axis, image, x, y, **style):
    axis.imshow(image, extent=(x - 0.72, x + 0.72, y - 0.72, y + 0.72), zorder=3, **style)


def paths(measured):
    """Static and dynamic layer attention, one above the other."""
    figure, axes = new(8.6, rows=2)
    for axis, title in zip(axes[:, 0], ("static (MRLA)", "dynamic (DLA)"), strict=True):
        canvas(axis, 6.4, 5.6, title)
        for number, x in enumerate((1, 3.2, 5.4), start=1):
            box(axis, x, 2.6, f"$x^{number}$")
            if number < 3:
                arrow(axis, (x + 0.65, 2.6), (x + 1.55, 2.6), linestyle="--")
        box(axis, 5.2, 4.8, "attention\nof block 3", BLUE, width=1.9, height=0.95)
        for x in (1, 3.2, 5.4):
            arrow(axis, (x, 3.0), (5.2 - 0.5 + 0.1 * x, 4.27), BLUE)
        axis.set(xlim=(-0.9, 6.6), ylim=(-1.3, 5.5))
    static, dynamic = axes[:, 0]
    static.set(ylim=(1.2, 5.5))
    static.text(2.7, 1.5, "a block's features stay as they were made", ha="center", color=GREY)
    for number, x in enumerate((1, 3.2, 5.4), start=1):
        box(dynamic, x, 0.7, f"unit: $c^{number}$", GREEN, width=1.6)
        text = f"$y^{number}$"
        arrow(dynamic, (x + 0.15, 2.2), (x + 0.15, 1.1), GREEN, text, shift=(0.32, 0))
        if number < 3:
            arrow(dynamic, (x + 0.85, 0.7), (x + 1.35, 0.7), GREEN)
    dynamic.plot((5.4, 5.4, -0.1, -0.1), (0.3, -0.6, -0.6, 1.65), color=ORANGE)
    dynamic.plot((2.15, 2.15), (-0.6, 1.65), color=ORANGE)
    for number, x in ((1, 1), (2, 3.2)):
        arrow(dynamic, (x - 1.1, 1.6), (x - 0.5, 2.22), ORANGE)
        dynamic.text(x - 1.2, 2.05, rf"$\times d^{number}$", color=ORANGE, ha="center")
    dynamic.text(3.8, -1.05, "backward: the newest context", color=ORANGE, ha="center")
    dynamic.text(4.25, 0.0, "forward", color=GREEN, ha="center", size=9)
    save(figure, "paths")


def scales(measured):
    """What is left of old values, the scores, and their product."""
    figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
    grid = figure.add_gridspec(2, 4)
    panels = [
        (grid[0, :2], "scores", measured["dynamic_scores_3"]),
        (grid[0, 2:], "scales of the values", measured["left"]),
        (grid[1, 1:3], "score x scale: what is read", measured["dynamic_weights_3"]),
    ]
    for place, title, array in panels:
        triangle(figure.add_subplot(place), array, title)
    save(figure, "scales")


def triangle(axis, array, title, ylabel="query block"):
    """Draws a matrix of layers below its diagonal with its numbers, on one scale from 0 to 1."""
    shown = np.where(np.tri(len(array), dtype=bool), array, np.nan)
    edges = (0.5, len(array) + 0.5, len(array) + 0.5, 0.5)
    image = axis.imshow(shown, cmap="cividis", vmin=0, vmax=1, extent=edges)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set(title=title, xlabel="key block", ylabel=ylabel)
    ticks = range(1, len(array) + 1)
    axis.set(xticks=ticks, yticks=ticks)
    for row, column in zip(*np.tril_indices(len(array)), strict=True):
        color = "black" if array[row, column] > 0.5 else "white"
        text = f"{array[row, column]:.2f}"
        axis.text(column + 1, row + 1, text, ha="center", va="center", color=color, size=8)
    return image


def attention(measured):
    """Figure 2 of the paper for our two networks: the scores, static beside dynamic."""
    figure, axes = new(3.3, columns=2)
    triangle(axes[0, 0], measured["static_scores_3"], "static: MRLA-B-56")
    image = triangle(axes[0, 1], measured["dynamic_scores_3"], "dynamic: DLA-B-56", ylabel=None)
    figure.colorbar(image, ax=axes, shrink=0.8, label="attention score")
    save(figure, "attention")


def unit(measured):
    """The flow of the DSU of Eq. 7-9, and what four units weigh."""
    figure, axes = new(7.6, rows=2, height_ratios=(1.35, 1))
    flow = axes[0, 0]
    canvas(flow, 10.2, 6.6)
    box(flow, 0.8, 5.8, "$c^{m-1}$", GREEN)
    box(flow, 0.8, 1.4, "$y^m$", width=1.2)
    flow.text(0.8, 0.75, "pooled block", ha="center", size=9, color=GREY)
    box(flow, 3.0, 2.9, "$W_1$, ReLU\nC/r channels", BLUE, width=2.2, height=1.1)
    arrow(flow, (0.8, 5.4), (2.0, 3.5), GREEN, r"$\sigma$", shift=(0.3, 0.2))
    arrow(flow, (1.45, 1.45), (2.2, 2.3))
    gates = ((4.4, r"forget  $\sigma$: $f$"), (2.9, r"input  $\sigma$: $i$"),
             (1.4, r"new  tanh: $\tilde{c}$"))  # fmt: skip
    for y, gate in gates:
        box(flow, 5.9, y, gate, BLUE, width=2.2)
        arrow(flow, (4.15, 2.9), (4.75, y))
    dot(flow, 7.6, 5.8, r"$\times$", GREEN)
    arrow(flow, (1.45, 5.8), (7.25, 5.8), GREEN)
    arrow(flow, (7.05, 4.4), (7.5, 5.45), BLUE)
    dot(flow, 8.1, 2.15, r"$\times$", BLUE)
    arrow(flow, (7.05, 2.9), (7.8, 2.35), BLUE)
    arrow(flow, (7.05, 1.4), (7.8, 1.95), BLUE)
    dot(flow, 8.5, 5.8, "+", GREEN)
    arrow(flow, (7.95, 5.8), (8.15, 5.8), GREEN)
    arrow(flow, (8.15, 2.55), (8.47, 5.4), BLUE)
    box(flow, 9.55, 5.8, "$c^m$", GREEN, width=0.9)
    arrow(flow, (8.85, 5.8), (9.05, 5.8), GREEN)
    draw_weights(axes[1, 0])
    save(figure, "unit")


def draw_weights(axis):
    makers = {
        "LSTM": (LSTMUnit, GREY, "-"),
        "DIA, r = 4": (lambda units: DIAUnit(units, 4), ORANGE, "-"),
        "DSU of the authors' code, r = 4": (lambda units: DynamicSharingUnit(units, 4), BLUE, "-"),
        "DSU of Eq. 7-9, r = 4": (
            lambda units: DynamicSharingUnit(units, 4, formulation="paper"), BLUE, "--",
        ),
    }  # fmt: skip
    channels = (64, 128, 256)
    for name, (maker, color, line) in makers.items():
        counts = [count(maker(units)) / 1e3 for units in channels]
        axis.plot(channels, counts, line, color=color, marker="o", label=name)
    axis.set(xlabel="channels C (the stages of a CIFAR ResNet)", ylabel="thousands of weights")
    axis.set_xticks(channels)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def count(cell):
    cell.build((None, cell.units))
    return cell.count_params()


def base_and_light(measured):
    """What the versions keep, and what the attention of each block costs."""
    figure, axes = new(9.4, rows=2, height_ratios=(1.45, 1))
    kept = axes[0, 0]
    canvas(kept, 9.2, 8.4)
    kept.text(0.1, 8.0, "DLA-B keeps every map", color=BLUE)
    for number, x in enumerate((0.9, 2.7, 4.5), start=1):
        box(kept, x, 7.1, f"$V^{number}$", BLUE)
        arrow(kept, (x, 6.7), (7.0, 6.2), BLUE, bend=0.15)
    box(kept, 7.9, 6.2, "softmax\nsum: $o^3$", BLUE, width=1.7, height=1)
    kept.text(0.1, 4.9, "DLA-L, Eq. 3: keeps one running map", color=ORANGE)
    kept.text(0.1, 2.15, "DLA-L, official: reads the block's shortcut", color=GREEN)
    for number, x in enumerate((0.9, 4.3, 7.7), start=1):
        box(kept, x, 4.0, f"$o^{number}$", ORANGE)
        arrow(kept, (x, 2.7), (x, 3.6), ORANGE, f"gate $V^{number}$", shift=(0.95, -0.05))
        if number < 3:
            text = rf"$\times\,\lambda^{number + 1} d$"
            arrow(kept, (x + 0.65, 4.0), (x + 2.75, 4.0), ORANGE, text, shift=(0, 0.35))
        box(kept, x, 0.5, f"$o^{number}$", GREEN)
        arrow(kept, (x, 1.4), (x, 0.88), GREEN)
        kept.text(x + 0.15, 1.5, r"shortcut: $\times d$, conv", color=GREEN, ha="center", size=9)
    draw_cost(axes[1, 0])
    save(figure, "base_and_light")


def draw_cost(axis, depth=18):
    features = keras.KerasTensor((1, 32, 32, 64))
    for mode, formulation, label, color, line in (
        ("base", "official", "DLA-B", BLUE, "-"),
        ("light", "paper", "DLA-L, Eq. 3", ORANGE, "-"),
        ("light", "official", "DLA-L, official", GREEN, "-"),
    ):
        dla = DynamicLayerAttention(
            depth, mode, formulation=formulation, data_format="channels_last"
        )
        dla.build(features.shape, shortcut_shape=features.shape)
        costs = [
            sum(dla.flops(features, shortcut=features, index=index).values()) / 1e6
            for index in range(depth)
        ]
        axis.plot(
            range(1, depth + 1), costs, line, color=color, marker="o", markersize=4, label=label
        )
    axis.set(xlabel="block of the stage", ylabel="million multiply-adds", ylim=(0, None))
    axis.set_xticks(range(1, depth + 1, 3))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def main():
    matplotlib.rcParams.update(STYLE)
    with np.load(FOLDER / "measured.npz", allow_pickle=False) as measured:
        for draw in (stage, paths, scales, unit, base_and_light, attention):
            draw(measured)


if __name__ == "__main__":
    main()
