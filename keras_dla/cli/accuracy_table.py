"""Finished runs as a table, with the published accuracies beside ours."""

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from keras_dla.cli.terminal import print_table

if TYPE_CHECKING:
    from keras_dla.training import Experiment, Result

HEADER = (
    "network",
    "data set",
    "formulation",
    "backend",
    "recipe",
    "runs",
    "accuracy (%)",
    "best epoch's",
    "published",
)
LEFT = 5
NOTES = (
    "Mean over the runs ± standard deviation (n - 1) of the test accuracy after the last epoch, "
    "and the mean of each run's best epoch, which was chosen on the test images.",
    "The published figures are means of five runs of the paper's recipe; the authors' script "
    "prints the running maximum of the test accuracy, which is that of the best epoch.",
)


def print_accuracies(results: Iterable["Result"], markdown: bool = False) -> None:
    """Prints one row per group of runs that differ only in their seed, and notes below.

    Args:
        results: iterable of finished runs.
        markdown: boolean, whether to print Markdown; defaults to `False`.
    """
    rows = [_row(group) for group in grouped(results)]
    print_table(HEADER, rows, LEFT, markdown)
    print("", *(f"- {note}" for note in NOTES), sep="\n")


def grouped(results: Iterable["Result"]) -> list[list["Result"]]:
    """Returns the runs in groups that differ only in their seed, in order of appearance."""
    groups: dict[Experiment, list[Result]] = {}
    for result in results:
        groups.setdefault(dataclasses.replace(result.experiment, seed=0), []).append(result)
    return list(groups.values())


def _row(group: Sequence["Result"]) -> tuple[str, ...]:
    from keras_dla.analysis.paper.published_accuracy import label, published_accuracy

    experiment = group[0].experiment
    published = published_accuracy(experiment.model, experiment.dataset, experiment.unit)
    return (
        label(experiment.model, experiment.unit),
        experiment.dataset,
        experiment.formulation,
        experiment.backend or "",
        _recipe(experiment),
        str(len(group)),
        _mean([result.accuracy for result in group]),
        _mean([result.best["val_accuracy"] for result in group]),
        "" if published is None else str(published),
    )


def _mean(accuracies: Sequence[float]) -> str:
    percents = [100 * accuracy for accuracy in accuracies]
    deviation = f" ± {statistics.stdev(percents):.2f}" if len(percents) > 1 else ""
    return f"{statistics.mean(percents):.2f}{deviation}"


def _recipe(experiment: "Experiment") -> str:
    """Returns what differs from the paper's recipe."""
    from keras_dla.data import cifar_steps_per_epoch
    from keras_dla.training import CIFAR

    ours = dataclasses.asdict(experiment.recipe)
    paper = dataclasses.asdict(CIFAR.scaled(experiment.epochs))
    changed = [f"{name} {value}" for name, value in ours.items() if value != paper[name]]
    if experiment.precision != "float32":
        changed.append(experiment.precision)
    if experiment.sync_batch_norm:
        changed.append("synchronised BN")
    whole_pass = cifar_steps_per_epoch("train", experiment.batch_size)
    if experiment.steps_per_epoch not in (None, whole_pass):
        changed.append(f"{experiment.steps_per_epoch} steps per epoch")
    if experiment.epochs != CIFAR.epochs:
        changed.append(f"{experiment.epochs} epochs")
    return ", ".join(changed) or "the paper's"
