"""Figure 4 of the paper: test accuracy over depth, from finished runs."""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_dla.analysis.plots.plot_depths import plot_depths
from keras_dla.training import Result, read_result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The settings in which the runs of a figure may differ: it shows the first three, and averages over
# seeds.
MAY_DIFFER = ("dataset", "model", "unit", "seed")


def figure_4(
    runs: Sequence[str | os.PathLike | Result],
    path: str | os.PathLike | None = None,
    *,
    title: str | None = None,
    published: bool = True,
) -> "Figure":
    """Draws test accuracy over depth of finished runs, one panel per data set.

    Args:
        runs: sequence of run folders, or of their results from `keras_dla.training.read_result`.
            They may differ only in network, data set, unit and seed.
        path: path, the file to write, completely or not at all; its ending names the format
            (`.png`, `.pdf`, `.svg`); defaults to `None`, which writes nothing.
        title: string, the title above the panels; defaults to `None`.
        published: boolean, whether to draw the paper's accuracies of the same networks as dotted
            lines; defaults to `True`.

    Returns:
        A `matplotlib.figure.Figure` without a window.

    Raises:
        ValueError: when there is no run, a run is not finished, or runs differ in something else.
        FileNotFoundError: when a folder is not the folder of a run.
        ImportError: when matplotlib is not installed.

    Source:
        Figure 4 of https://arxiv.org/abs/2406.13392

    Example:
    >>> from keras_dla.analysis import figure_4
    >>> from keras_dla.training import Experiment, Result
    >>> run = Result(Experiment("dla_l_20", epochs=1), [{"epoch": 1, "val_accuracy": 0.5}])
    >>> figure_4([run]).axes[0].get_title()
    'CIFAR-100'
    """
    results = [run if isinstance(run, Result) else read_result(run) for run in runs]
    return plot_depths(accuracy_by_depth(results), path, title=title, published=published)


def accuracy_by_depth(results: Sequence[Result]) -> dict[str, dict[str, dict[int, list[float]]]]:
    """Returns the accuracies in percent by data set, interaction (and unit) and depth.

    Args:
        results: sequence of finished `Result`s.

    Raises:
        ValueError: when there is none, one is not finished, or they are not comparable.
    """
    _check_comparable(results)
    curves: dict[str, dict[str, dict[int, list[float]]]] = {}
    for result in results:
        experiment = result.experiment
        interaction, _, depth = experiment.model.rpartition("_")
        name = interaction if experiment.unit is None else f"{interaction}-{experiment.unit}"
        points = curves.setdefault(experiment.dataset, {}).setdefault(name, {})
        points.setdefault(int(depth), []).append(100 * result.accuracy)
    return curves


def _check_comparable(results: Sequence[Result]) -> None:
    """Raises `ValueError` if the runs are not comparable."""
    if not results:
        raise ValueError("`runs` must contain at least one run, but is empty.")
    for result in results:
        if not result.is_finished:
            done, epochs = len(result.history), result.experiment.epochs
            raise ValueError(
                f"`runs` must be finished, but {result.experiment.model} has {done} of {epochs} "
                f"epochs."
            )
    for field in dataclasses.fields(results[0].experiment):
        values = {getattr(result.experiment, field.name) for result in results}
        if field.name not in MAY_DIFFER and len(values) > 1:
            listed = ", ".join(sorted(map(str, values)))
            raise ValueError(f"`runs` must have the same {field.name}, but have {listed}.")
