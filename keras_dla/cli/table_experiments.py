"""The runs of one of the paper's tables, or of a part of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_dla.cli.errors import CommandError
from keras_dla.utils.names import CIFAR_CLASSES

if TYPE_CHECKING:
    from keras_dla.training import Experiment


def table_experiments(
    table: int,
    rows: Sequence[str] | None,
    datasets: Sequence[str] | None,
    seeds: int,
    common: dict[str, Any],
) -> list["Experiment"]:
    """Returns one experiment per row and seed, in the table's order.

    Args:
        table: integer, 1, 4, 5 or 6.
        rows: sequence of strings, names of rows: a network, or a network and its unit such as
            `"dla_l_110-lstm"`; `None` for all rows.
        datasets: sequence of strings, the data sets; `None` for all of the table.
        seeds: integer, the number of runs per row, with the seeds 0, 1, ...
        common: dictionary, further arguments of `Experiment`, the same for all.

    Raises:
        CommandError: when the table has no such row, or not for such a data set.
    """
    from keras_dla.models import used_options
    from keras_dla.training import Experiment

    wanted = [
        fields
        for fields in _rows(table)
        if (rows is None or _name(fields) in rows)
        and (datasets is None or fields["dataset"] in datasets)
    ]
    _check_rows(table, rows, datasets, wanted)
    return [
        # A table's networks share the options, but the plain network does not use all of them.
        Experiment(**{**used_options(fields["model"], **common), **fields, "seed": seed})
        for fields in wanted
        for seed in range(seeds)
    ]


def _rows(table: int) -> list[dict[str, Any]]:
    """Returns the settings that the table's rows prescribe."""
    from keras_dla.analysis.paper import published_costs as published

    if table == 5:
        return _rows_of_table_5()
    datasets = {classes: name for name, classes in CIFAR_CLASSES.items()}
    return [
        {
            "model": row.model,
            "unit": row.arguments.get("unit"),
            "dataset": datasets[row.arguments.get("classes", 100)],
        }
        for row in published.rows(table)
    ]


def _rows_of_table_5() -> list[dict[str, Any]]:
    """The paper prints no costs of these networks, which are those of DLA-L."""
    from keras_dla.analysis.paper.published_accuracy import ACTIVATIONS

    return [
        {
            "model": f"dla_l_{depth}",
            "unit": None if normalizer == "sigmoid" else f"dsu_{normalizer}",
            "dataset": "cifar100",
        }
        for depth, printed in ACTIVATIONS.items()
        for normalizer in printed
    ]


def _name(fields: dict[str, Any]) -> str:
    return fields["model"] if fields["unit"] is None else f"{fields['model']}-{fields['unit']}"


def _check_rows(
    table: int,
    rows: Sequence[str] | None,
    datasets: Sequence[str] | None,
    wanted: list[dict[str, Any]],
) -> None:
    names = list(dict.fromkeys(map(_name, _rows(table))))
    for row in rows or ():
        if row not in names:
            raise CommandError(
                f"`--rows` must be among the rows of Table {table} ({', '.join(names)}), but "
                f"contains {row}."
            )
    if not wanted:
        raise CommandError(
            f"`--dataset` must be one that Table {table} has for these rows, but "
            f"is {', '.join(datasets or ())}."
        )
