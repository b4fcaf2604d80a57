"""`keras-dla train`: an experiment, or the runs of a table of the paper."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from keras_dla.cli.accuracy_table import print_accuracies
from keras_dla.cli.command import Commands, new_command, options
from keras_dla.cli.errors import CommandError
from keras_dla.cli.options.files import file_argument
from keras_dla.cli.options.imports import add_import_option, import_files
from keras_dla.cli.options.networks import FORMULATION, check_name
from keras_dla.cli.seeds_at_once import check_at_once, train_at_once
from keras_dla.cli.table_experiments import table_experiments
from keras_dla.cli.terminal import tell
from keras_dla.utils.names import PRECISIONS, SOURCES, TRAINED_TABLES, UNITS

if TYPE_CHECKING:
    from keras_dla.training import Experiment

Runs: TypeAlias = "Sequence[tuple[Experiment, Path]]"
PARENT = Path("runs")
EPOCHS = 180
# Options that are arguments of `Experiment`: one that is not given keeps the value of the file, or
# the paper's.
FIELDS: dict[str, dict[str, Any]] = {
    "model": {"metavar": "NAME", "help": "the network; see `keras-dla list` (default: dla_l_20)"},
    "formulation": FORMULATION,
    "unit": {
        "choices": UNITS,
        "help": "the recurrent unit (default: dsu for dla_b and dla_l, dia for dianet)",
    },
    "seed": {"type": int, "metavar": "N", "help": "seed of weights and data (default: 0)"},
    "epochs": {
        "type": int,
        "metavar": "N",
        "help": "number of epochs; the drops of the learning rate move in proportion (default: "
        "180)",
    },
    "batch_size": {"type": int, "metavar": "N", "help": "images per step (default: 128)"},
    "learning_rate": {
        "type": float,
        "metavar": "X",
        "help": "learning rate before the first drop (default: 0.1)",
    },
    "momentum": {"type": float, "metavar": "X", "help": "momentum of SGD (default: 0.9)"},
    "weight_decay": {
        "type": float,
        "metavar": "X",
        "help": "L2 penalty of all weights (default: 0.0001)",
    },
    "attention_weight_decay": {
        "type": float,
        "metavar": "X",
        "help": "L2 penalty of block attentions and layer interactions (default: --weight-decay)",
    },
    "drop_path": {
        "type": float,
        "metavar": "X",
        "help": "drop probability of attention outputs (default: 0.2)",
    },
    "milestones": {
        "type": int,
        "nargs": "*",
        "metavar": "EPOCH",
        "help": "epochs after which the learning rate drops to a tenth (default: 100 150 of 180, "
        "in proportion)",
    },
    "precision": {
        "choices": PRECISIONS,
        "help": "precision of the computation (default: float32)",
    },
    "sync_batch_norm": {
        "action": "store_true",
        "default": None,
        "help": "compute batch statistics over all devices, as on a single one",
    },
    "steps_per_epoch": {
        "type": int,
        "metavar": "N",
        "help": "for a trial: end each epoch after this many steps (default: after all images)",
    },
    "data": {
        "choices": SOURCES,
        "help": "where the data comes from: arrays in memory, arrays on the device, or tf.data "
        "(default: depends on the backend)",
    },
}
NOT_WITH_TABLE = ("file", "model", "unit", "seed")
NOT_WITHOUT_TABLE = ("rows", "seeds", "at_once")
TEXT = """\
Without options, this trains DLA-L-20 on CIFAR-100 as in the paper. The folder gets settings.json
(which may be given as FILE), versions.json, log.csv, last.keras, best.keras and, where tensorboard
is installed, its files. To resume a run that was stopped or killed, repeat the command; a finished
run is not repeated.

  keras-dla train --model dla_l_20 --dataset cifar100 --seed 0 --output runs/first
  keras-dla train mine.json --seed 1
  keras-dla train --import my_layer.py --model mine_20
  keras-dla train --table 1 --rows resnet_20 mrla_l_20 dla_l_20 --dataset cifar100 --seeds 5
  KERAS_BACKEND=jax keras-dla train --table 1 --rows dla_l_20 --seeds 5 --at-once
  KERAS_BACKEND=torch keras-dla train --epochs 3 --steps-per-epoch 130
  keras-dla train --devices 8 --sync-batch-norm

With --hosts, every machine runs the same command with its own --host and shares the folder.
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parser = new_command(
        commands,
        "train",
        run,
        "train on CIFAR by the paper's recipe",
        TEXT,
        typed=options(
            *FIELDS, "dataset", "devices", "hosts", "host", "checkpoint_steps", "data_dir"
        ),
    )
    file_argument(parser, "file", nargs="?", metavar="FILE", help="an experiment as JSON")
    add = parser.add_argument
    add(
        "--dataset",
        nargs="+",
        choices=("cifar10", "cifar100"),
        help="the data set (default: cifar100); with --table, one or several (default: those of "
        "the table)",
    )
    for name, settings in FIELDS.items():
        add(f"--{name.replace('_', '-')}", **settings)
    add_import_option(parser)
    file_argument(
        parser,
        "--output",
        folder=True,
        type=Path,
        metavar="DIR",
        help="folder of the run (default: runs/DATASET-MODEL-FORMULATION-SEED); with --table, the "
        "folder of all runs (default: runs)",
    )
    file_argument(
        parser,
        "--data-dir",
        folder=True,
        metavar="DIR",
        help="folder in which tensorflow-datasets has prepared the data (default: download it)",
    )
    add(
        "--checkpoint-steps",
        type=int,
        metavar="N",
        help="save the state every N steps too (default: only after each epoch)",
    )
    devices = parser.add_argument_group("many devices")
    add = devices.add_argument
    add("--devices", type=int, default=1, metavar="N", help="devices per machine (default: 1)")
    add(
        "--hosts",
        nargs="+",
        default=[],
        metavar="HOST:PORT",
        help="all machines, in the same order everywhere (default: only this one)",
    )
    add(
        "--host",
        type=int,
        default=0,
        metavar="N",
        help="number of this machine in --hosts, from 0 (default: 0)",
    )
    table = parser.add_argument_group("a table of the paper")
    table.add_argument(
        "--table", type=int, choices=TRAINED_TABLES, help="train the networks of this table"
    )
    table.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows (default: all)")
    table.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="runs per row, with the seeds 0 to N - 1 (default: 5)",
    )
    table.add_argument(
        "--at-once",
        action="store_true",
        default=None,
        help="train the seeds of a row in one program (JAX), faster on a graphics card",
    )


def run(arguments: argparse.Namespace) -> None:
    """Trains the runs that are not done yet, and prints the table."""
    _check_options(arguments)
    _check_recipe(arguments)
    tell("Looking for finished runs ...")
    runs = _table_runs(arguments) if arguments.table else [_single_run(arguments)]
    _train_left(runs, arguments)
    if arguments.host == 0:  # this process is the one that writes the folders
        _report(runs)


def _check_options(arguments: argparse.Namespace) -> None:
    for name in NOT_WITH_TABLE if arguments.table else NOT_WITHOUT_TABLE:
        if getattr(arguments, name) is not None:
            option = "FILE" if name == "file" else f"`{options(name)[name]}`"
            how = "with" if arguments.table else "without"
            raise CommandError(f"{option} must not be given {how} `--table`.")
    if arguments.seeds is not None and arguments.seeds < 1:
        raise CommandError(f"`--seeds` must be at least 1, but is {arguments.seeds}.")
    if arguments.checkpoint_steps is not None and arguments.checkpoint_steps < 1:
        raise CommandError(
            f"`--checkpoint-steps` must be at least 1, but is {arguments.checkpoint_steps}."
        )
    if arguments.at_once:
        check_at_once(arguments)
    if not arguments.table and arguments.dataset and len(arguments.dataset) > 1:
        raise CommandError("`--dataset` must be one data set without `--table`.")


def _check_recipe(arguments: argparse.Namespace) -> None:
    """Refuses impossible settings before a framework is imported or data is downloaded."""
    if arguments.model is not None:
        check_name("`--model`", arguments.model, arguments.imports, cifar=True)
    epochs = arguments.epochs or (EPOCHS if arguments.file is None else None)
    late = [epoch for epoch in arguments.milestones or () if epochs and epoch >= epochs]
    if late:
        raise CommandError(
            f"`--milestones` must be less than the number of epochs ({epochs}), but contains "
            f"{late[0]}."
        )


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    return {n: getattr(arguments, n) for n in FIELDS if getattr(arguments, n) is not None}


def _single_run(arguments: argparse.Namespace) -> tuple["Experiment", Path]:
    from keras_dla.training import Experiment, read_experiment

    given = _given(arguments)
    if arguments.dataset:
        given["dataset"] = arguments.dataset[0]
    experiment = (
        Experiment(**given) if arguments.file is None else read_experiment(arguments.file, **given)
    )
    return experiment, arguments.output or PARENT / experiment.name


def _table_runs(arguments: argparse.Namespace) -> Runs:
    experiments = table_experiments(
        arguments.table,
        arguments.rows,
        arguments.dataset,
        5 if arguments.seeds is None else arguments.seeds,
        _given(arguments),
    )
    parent = arguments.output or PARENT
    return [(experiment, parent / experiment.name) for experiment in experiments]


def _train_left(runs: Runs, arguments: argparse.Namespace) -> None:
    from keras_dla.training import is_finished, launch
    from keras_dla.training.experiment.run import check_devices

    # All runs first, so that a wrong one is not found hours later.
    left = [run for run in runs if not is_finished(*run)]
    for experiment, _ in left:
        check_devices(experiment, arguments.devices, arguments.hosts)
    if len(left) < len(runs):
        tell(f"{len(runs) - len(left)} of {len(runs)} runs are done.")
    if left and arguments.at_once:
        train_at_once(left, arguments.data_dir)
    elif left:
        places = arguments.data_dir, arguments.checkpoint_steps, arguments.imports
        launch(_train_all, arguments.devices, (left, *places), arguments.hosts, arguments.host)


def _train_all(
    runs: Runs, data_dir: str | None, checkpoint_steps: int | None, imports: Sequence[str]
) -> None:
    """Trains run after run, also after one that diverges; in every process of `launch()`."""
    import_files(imports)  # again in a process that `launch()` started
    from keras_dla.training import DivergenceError, is_main_process, keep_freed_memory

    keep_freed_memory()
    say = tell if is_main_process() else lambda text: None
    for number, (experiment, folder) in enumerate(runs, start=1):
        say(f"Run {number} of {len(runs)}: {folder} ...")
        try:
            _train(experiment, folder, data_dir, checkpoint_steps)
        except DivergenceError as error:
            say(f"{folder}: {error}")


def _train(
    experiment: "Experiment",
    folder: Path,
    data_dir: str | None,
    checkpoint_steps: int | None,
) -> None:
    import keras

    from keras_dla.training import prepare_experiment
    from keras_dla.training.devices.devices import device_count

    if device_count() == 1:  # `clear_session` would forget the other devices
        keras.utils.clear_session()  # the graphs of the previous run
    run_ = prepare_experiment(experiment, folder, data_dir)
    try:
        # Keras's progress bar is not the command's result.
        with contextlib.redirect_stdout(sys.stderr):
            run_.train(checkpoint_steps=checkpoint_steps)
    except KeyboardInterrupt:
        done = f"{run_.progress.epochs} of {experiment.epochs} epochs"
        raise KeyboardInterrupt(f"stopped after {done}; the same command continues.") from None


def _report(runs: Runs) -> None:
    from keras_dla.training import is_finished, read_result

    done = [read_result(folder) for experiment, folder in runs if is_finished(experiment, folder)]
    if done:
        print_accuracies(done)
    if len(done) < len(runs):
        raise CommandError(f"{len(runs) - len(done)} of {len(runs)} runs diverged; see above.")
