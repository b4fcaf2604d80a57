"""Trains all seeds of a table's row in one program."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError
from keras_dla.cli.terminal import tell
from keras_dla.utils.backends import check_keras

if TYPE_CHECKING:
    from keras_dla.training import Experiment


def check_at_once(arguments: argparse.Namespace) -> None:
    """Raises `CommandError` if `--at-once` conflicts with the backend or another option."""
    check_keras()
    import keras

    backend = keras.backend.backend()
    if backend != "jax":
        raise CommandError(
            f"`--at-once` needs the JAX backend (KERAS_BACKEND=jax), but the backend is {backend}."
        )
    if arguments.devices > 1 or arguments.hosts:
        raise CommandError("`--at-once` must not be given with `--devices` or `--hosts`.")
    if arguments.checkpoint_steps is not None:
        raise CommandError(
            "`--checkpoint-steps` must not be given with `--at-once`, which saves after each epoch."
        )


def train_at_once(runs: Sequence[tuple["Experiment", Path]], data_dir: str | None) -> None:
    """Trains row after row, also after one in which a seed diverges.

    Args:
        runs: sequence of pairs of an unfinished experiment and its folder.
        data_dir: string, folder of tensorflow-datasets; `None` to download.
    """
    import keras

    from keras_dla.training import DivergenceError, run_seeds

    rows = _rows(runs)
    for number, row in enumerate(rows, start=1):
        seeds = ", ".join(str(experiment.seed) for experiment in row)
        tell(f"Row {number} of {len(rows)}: {next(iter(row)).model}, seeds {seeds} ...")
        keras.utils.clear_session()  # the graphs of the previous row
        try:
            run_seeds(list(row), list(row.values()), data_dir, _tell_epoch)
        except DivergenceError as error:
            tell(str(error))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "stopped; the same command continues from the last complete epoch."
            ) from None


def _rows(
    runs: Sequence[tuple["Experiment", Path]],
) -> list[dict["Experiment", Path]]:
    """Returns the runs in groups that differ only in their seed."""
    rows: dict[Experiment, dict[Experiment, Path]] = {}
    for experiment, folder in runs:
        rows.setdefault(dataclasses.replace(experiment, seed=0), {})[experiment] = folder
    return list(rows.values())


def _tell_epoch(rows: Sequence[dict[str, Any]]) -> None:
    accuracies = sorted(100 * row["val_accuracy"] for row in rows)
    tell(
        f"epoch {rows[0]['epoch']}: {rows[0]['seconds']:.0f} s, test accuracy "
        f"{accuracies[0]:.2f} to {accuracies[-1]:.2f} %"
    )
