"""Draws the pictures of `docs/idea.md` from the arrays that `measure.py` left.

KERAS_BACKEND=torch python docs/pictures/draw.py
"""

from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from keras_dla.analysis import plot_attention
from keras_dla.layers import DIAUnit, DynamicLayerAttention, DynamicSharingUnit, LSTMUnit

FOLDER = Path(__file__).parent
# Of the colour-blind safe palette of Okabe and Ito.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#7a7a7a"


def new(width, height, columns=1, ratios=None):
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False, width_ratios=ratios)[0]


def save(figure, name):
    figure.savefig(FOLDER / f"{name}.png", dpi=110)


def canvas(axis, width, height, title=None):
    """Makes an axis a sheet to draw on, with units of equal length."""
    axis.set(xlim=(0, width), ylim=(0, height), aspect="equal", title=title)
    axis.set_axis_off()


def box(axis, x, y, text, color=GREY, width=1.2, height=0.7):
    corner = (x - width / 2, y - height / 2)
    style = {"facecolor": "white", "edgecolor": color, "linewidth": 1.8}
    axis.add_patch(FancyBboxPatch(corner, width, height, boxstyle="round,pad=0.03", **style))
    axis.text(x, y, text, ha="center", va="center", fontsize=10)


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
    axis.text(x, y, text, color=color, ha="center", va="center", fontsize=10)


def stage(measured):
    """A photograph, the maps of the blocks, and what each block reads of those before it."""
    maps, scores = measured["maps"], measured["first_scores"]
    figure, (axis,) = new(10, 3.1)
    canvas(axis, 14.6, 4.4)
    show(axis, measured["picture"], 1, 1.5)
    axis.text(1, 0.45, "photograph", ha="center", fontsize=10)
    places = [3.6 + 2 * block for block in range(len(maps))]
    arrow(axis, (1.85, 1.5), (places[0] - 0.8, 1.5), linestyle="--")
    for block, (x, image) in enumerate(zip(places, maps, strict=True)):
        show(axis, image, x, 1.5, cmap="cividis")
        axis.text(x, 0.45, f"block {block + 1}", ha="center", fontsize=10)
        axis.text(x, 0.05, f"itself: {scores[block, block]:.2f}", ha="center", color=BLUE)
        if block:
            arrow(axis, (x - 1.2, 1.5), (x - 0.8, 1.5))
            for read in range(block):
                arc(axis, places[read], x, scores[block, read])
    save(figure, "stage")


def arc(axis, read, asking, score):
    """Draws how much the block at `asking` reads of the one at `read`, if it can be seen."""
    if score < 0.05:
        return
    start, end, height = (read + 0.2, 2.4), (asking - 0.2, 2.4), 0.24 * (asking - read) - 0.15
    arrow(axis, start, end, BLUE, bend=-0.45, width=5 * score, alpha=0.7)
    axis.text((read + asking) / 2, 2.65 + height, f"{score:.2f}", color=BLUE, ha="center")


def show(axis, image, x, y, **style):
    axis.imshow(image, extent=(x - 0.8, x + 0.8, y - 0.8, y + 0.8), zorder=3, **style)


def paths(measured):
    """Static and dynamic layer attention beside each other, and measured scales."""
    figure, axes = new(13, 4.6, columns=3, ratios=(1, 1, 0.95))
    for axis, title in zip(axes, ("static (MRLA)", "dynamic (DLA)"), strict=False):
        canvas(axis, 6.4, 5.6, title)
        for number, x in enumerate((1, 3.2, 5.4), start=1):
            box(axis, x, 2.6, f"$x^{number}$")
            if number < 3:
                arrow(axis, (x + 0.65, 2.6), (x + 1.55, 2.6), linestyle="--")
        box(axis, 5.4, 4.7, "attention\nof block 3", BLUE, width=1.7, height=0.9)
        for x in (1, 3.2, 5.4):
            arrow(axis, (x, 3.0), (5.4 - 0.5 + 0.1 * x, 4.2), BLUE)
    axes[0].text(
        3.2, 0.9, "once made, a block's features stay\nas they are", ha="center", color=GREY
    )
    for number, x in enumerate((1, 3.2, 5.4), start=1):
        box(axes[1], x, 0.8, f"DSU: $c^{number}$", GREEN, width=1.4)
        arrow(axes[1], (x + 0.15, 2.2), (x + 0.15, 1.2), GREEN, f"$y^{number}$", shift=(0.28, 0))
        if number < 3:
            arrow(axes[1], (x + 0.75, 0.8), (x + 1.45, 0.8), GREEN)
    axes[1].plot((5.4, 5.4, 0, 0), (0.4, -0.5, -0.5, 1.7), color=ORANGE)
    axes[1].plot((2.2, 2.2), (-0.5, 1.7), color=ORANGE)
    for number, x in ((1, 1), (2, 3.2)):
        arrow(axes[1], (x - 1.02, 1.65), (x - 0.5, 2.25), ORANGE)
        axes[1].text(x - 1.15, 2.05, rf"$\times d^{number}$", color=ORANGE, ha="center")
    axes[1].text(3.8, -0.95, "backward", color=ORANGE, ha="center")
    axes[1].text(1.35, 0.05, "forward", color=GREEN, ha="center")
    for axis in axes[:2]:
        axis.set(xlim=(-0.8, 6.4), ylim=(-1.2, 5.6))
    scales_of(figure, axes[2], measured["left"])
    save(figure, "paths")


def scales_of(figure, axis, left):
    shown = np.where(np.tri(len(left), dtype=bool), left, np.nan)
    edges = (0.5, len(left) + 0.5, len(left) + 0.5, 0.5)
    image = axis.imshow(shown, cmap="cividis", vmin=0, vmax=1, extent=edges)
    for row, column in zip(*np.tril_indices(len(left)), strict=True):
        value = left[row, column]
        color = "white" if value < 0.5 else "black"
        axis.text(
            column + 1, row + 1, f"{value:.2f}", ha="center", va="center", color=color, size=8
        )
    axis.spines[["top", "right"]].set_visible(False)
    axis.set(
        title="how the values are scaled (stage 3)",
        xlabel="block m, which is read",
        ylabel="block l, which reads",
    )
    figure.colorbar(image, ax=axis)


def unit(measured):
    """The flow of the DSU, and what four units weigh."""
    figure, (flow, weights) = new(11, 4, columns=2, ratios=(1.5, 1))
    canvas(flow, 9.6, 5.4)
    box(flow, 0.9, 4.4, "$c^{m-1}$", GREEN)
    box(flow, 0.9, 1.2, "$y^m$\npooled block", width=1.5, height=0.9)
    box(flow, 3.3, 2.4, "bottleneck\nC/r channels", BLUE, width=1.8, height=1)
    arrow(flow, (0.9, 4.0), (2.35, 2.7), GREEN, r"$\sigma$", shift=(0.2, 0.3))
    arrow(flow, (1.7, 1.3), (2.35, 2.1))
    for y, gate in ((3.4, "forget  $f$"), (2.1, "input  $i$"), (0.8, r"candidate  $\tilde{c}$")):
        box(flow, 5.9, y, gate, BLUE, width=1.8)
        arrow(flow, (4.25, 2.4), (4.95, y))
    box(flow, 8.5, 4.4, "$c^m$", GREEN)
    arrow(flow, (1.55, 4.4), (7.85, 4.4), GREEN, r"$\times f$", shift=(1.5, 0.25))
    arrow(flow, (6.85, 3.4), (7.3, 4.3), BLUE)
    arrow(flow, (6.85, 2.1), (8.4, 4.0), BLUE)
    arrow(flow, (6.85, 0.8), (8.7, 4.0), BLUE, r"$+\; i\,\tilde{c}$", shift=(1.0, -0.3))
    draw_weights(weights)
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
    """What the two versions keep, and what the attention of each block costs."""
    figure, (kept, cost) = new(11, 4, columns=2, ratios=(1.4, 1))
    canvas(kept, 9.2, 5.6)
    for number, x in enumerate((1, 3, 5), start=1):
        box(kept, x, 4.5, f"$V^{number}$", BLUE)
        arrow(kept, (x, 4.1), (7.1, 3.6 if number == 1 else 3.7), BLUE, bend=0.12)
    kept.text(0.2, 5.25, "DLA-B keeps every map", color=BLUE, fontsize=11)
    box(kept, 7.8, 3.6, "softmax\nsum: $o^3$", BLUE, height=0.9)
    kept.text(0.2, 2.15, "DLA-L keeps one map", color=ORANGE, fontsize=11)
    for number, x in enumerate((1, 4.4, 7.8), start=1):
        box(kept, x, 1.2, f"$o^{number}$", ORANGE)
        arrow(kept, (x, 0.1), (x, 0.8), ORANGE, f"gate $V^{number}$", shift=(0.75, -0.1))
        if number < 3:
            text = rf"$\times\,\lambda^{number + 1} d$"
            arrow(kept, (x + 0.65, 1.2), (x + 2.75, 1.2), ORANGE, text, shift=(0, 0.3))
    draw_cost(cost)
    save(figure, "base_and_light")


def draw_cost(axis, depth=18):
    features = keras.KerasTensor((1, 32, 32, 64))
    for mode, label, color in (("base", "DLA-B", BLUE), ("light", "DLA-L", ORANGE)):
        dla = DynamicLayerAttention(depth, mode, data_format="channels_last")
        dla.build(features.shape)
        costs = [sum(dla.flops(features, index=index).values()) / 1e6 for index in range(depth)]
        axis.plot(range(1, depth + 1), costs, color=color, marker="o", markersize=4, label=label)
    axis.set(xlabel="block of the stage", ylabel="million multiply-adds", ylim=(0, None))
    axis.set_xticks(range(1, depth + 1, 3))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


def attention(measured):
    """Figure 2 of the paper for our two networks."""
    scores = {
        f"{name}, {measured[f'{kind}_accuracy']:.1%} right": {
            "stage 3": measured[f"{kind}_scores"][None, None]
        }
        for kind, name in (("static", "MRLA-B"), ("dynamic", "DLA-B"))
    }
    save(plot_attention(scores), "attention")


def main():
    with np.load(FOLDER / "measured.npz", allow_pickle=False) as measured:
        for draw in (stage, paths, unit, base_and_light, attention):
            draw(measured)


if __name__ == "__main__":
    main()
