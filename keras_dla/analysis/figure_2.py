"""Figure 2 of the paper: attention scores of one stage, static and dynamic side by side."""

import os
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_dla.analysis.attention_scores import AttentionScores, attention_scores
from keras_dla.analysis.plots.plot_attention import plot_attention

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_2(
    static: keras.Model,
    dynamic: keras.Model,
    images: np.ndarray,
    path: str | os.PathLike | None = None,
    *,
    stage: int | str = 3,
    title: str | None = None,
    batch_size: int = 32,
) -> "Figure":
    """Draws the attention scores of a stage in two trained networks, static and dynamic.

    The paper shows the first two panels. In DLA-B the values that a score weights have been
    refreshed since they were computed, mostly by scales below 1, so a third panel shows the scores
    times these scales: how much of its own values each layer contributes.

    Args:
        static: Keras model with static layer attention, such as MRLA-B-56.
        dynamic: Keras model with dynamic layer attention, such as DLA-B-56.
        images: array, `[batch, height, width, channels]` or channels first, normalised as both
            models expect it.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        stage: integer, the number of the stage from 1 on, or the name of its attention layer;
            defaults to 3, as in the paper.
        title: string, the title above the panels; defaults to `None`.
        batch_size: integer, the number of images per batch; defaults to 32.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when a model contains no layer attention or no such stage, or the folder of
            `path` does not exist.
        ImportError: when matplotlib is not installed.

    Source:
        Figure 2 of https://arxiv.org/abs/2406.13392

    Example:
    >>> import numpy as np
    >>> import keras_dla
    >>> static, dynamic = (
    ...     keras_dla.models.ResNet(11, name, classes=10, data_format="channels_last")
    ...     for name in ("mrla_b", "dla_b")
    ... )
    >>> images = np.ones((1, 8, 8, 3), "float32")
    >>> figure = keras_dla.analysis.figure_2(static, dynamic, images)
    >>> [axis.get_title() for axis in figure.axes[:2]]
    ['static: stage 3', 'dynamic: stage 3']
    """
    groups: dict[str, AttentionScores] = {}
    for kind, model in (("static", static), ("dynamic", dynamic)):
        scores = attention_scores(model, images, batch_size)
        name = _stage_name(kind, scores, stage)
        approximate = scores.approximate & {name}
        groups[kind] = AttentionScores({name: scores[name]}, approximate=approximate)
        if name in scores.refreshed:
            groups[f"{kind} × scales"] = AttentionScores({name: scores.weights[name]})
    return plot_attention(groups, path, title=title)


def _stage_name(argument: str, scores: AttentionScores, stage: int | str) -> str:
    name = f"stage{stage}_interaction" if isinstance(stage, int) else stage
    if name not in scores:
        raise ValueError(
            f"`stage` must be a stage of `{argument}`, which has {', '.join(scores)}, "
            f"but is {stage!r}."
        )
    return name
