"""`keras-dla train`: an experiment, or the runs of a table of the paper."""

import contextlib
import sys
from pathlib import Path

from keras_dla.cli.accuracy_table import accuracy_table
from keras_dla.cli.commands import new_command
from keras_dla.cli.errors import CommandError
from keras_dla.cli.networks import FORMULATIONS
from keras_dla.cli.progress import tell
from keras_dla.cli.table_experiments import TABLES, table_experiments

PARENT = Path("runs")
# Options that are arguments of `Experiment`: what is left out keeps the file's value, or the
# paper's.
FIELDS = {
    "model": {"metavar": "NAME", "help": "one of `keras-dla list`, such as dla_l_20"},
    "formulation": {"choices": FORMULATIONS, "help": "default: official"},
    "unit": {"choices": ("dsu", "dia", "lstm", "rnn"), "help": "of dianet, dla_b and dla_l"},
    "seed": {"type": int, "help": "default: 0"},
    "epochs": {"type": int, "help": "drops of the rate move in proportion (default: 180)"},
    "batch_size": {"type": int, "help": "default: 128"},
    "learning_rate": {"type": float, "help": "before the first drop (default: 0.1)"},
    "momentum": {"type": float, "help": "default: 0.9"},
    "weight_decay": {"type": float, "help": "default: 0.0001"},
    "drop_path": {"type": float, "help": "default: 0.2"},
    "precision": {
        "choices": ("float32", "mixed_float16", "mixed_bfloat16"),
        "help": "default: float32",
    },
    "steps_per_epoch": {"type": int, "help": "for a trial: fewer than a pass over the images"},
    "data": {
        "choices": ("memory", "tfds"),
        "help": "arrays or tf.data (default: by the backend)",
    },
}
NOT_WITH_TABLE = ("file", "model", "unit", "seed")
NOT_WITHOUT_TABLE = ("rows", "seeds")
TEXT = """\
Without options this is the paper's run of DLA-L-20 on CIFAR-100. The folder gets settings.json
(which is itself such a FILE), versions.json, log.csv, last.keras, best.keras and, where tensorboard
is installed, its files. A run that was stopped or killed goes on from its last state when the same
command is given again; one that is done is not repeated.

  keras-dla train --model dla_l_20 --dataset cifar100 --seed 0 --output runs/first
  keras-dla train mine.json --seed 1
  keras-dla train --table 1 --rows resnet_20 mrla_l_20 dla_l_20 --dataset cifar100 --seeds 5
  KERAS_BACKEND=torch keras-dla train --epochs 3 --steps-per-epoch 130
"""


def add_parser(commands) -> None:
    """Adds the command to the program."""
    parser = new_command(commands, "train", run, "train on CIFAR by the paper's recipe", TEXT)
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help="an experiment in JSON")
    add("--dataset", nargs="+", choices=("cifar10", "cifar100"), help="default: cifar100")
    for name, options in FIELDS.items():
        add(f"--{name.replace('_', '-')}", **options)
    add("--output", type=Path, metavar="DIR", help="the run's folder; of a table, the runs' parent")
    add("--data-dir", help="folder of tensorflow-datasets; without it, the data is downloaded")
    add("--checkpoint-steps", type=int, help="save inside epochs so often, not just by time")
    table = parser.add_argument_group("a table of the paper")
    table.add_argument("--table", type=int, choices=TABLES, help="train its networks")
    table.add_argument("--rows", nargs="+", metavar="ROW", help="only these (default: all)")
    table.add_argument("--seeds", type=int, help="how many runs a row (default: 5)")


def run(arguments) -> None:
    """Trains what is not done yet, and prints the table."""
    _check_options(arguments)
    tell("Looking for what is done ...")
    runs = _table_runs(arguments) if arguments.table else [_single_run(arguments)]
    failed = _train_all(runs, arguments)
    from keras_dla.training import read_result

    done = [read_result(folder) for _, folder in runs if folder not in failed]
    if done:
        print(accuracy_table(done))
    if failed:
        raise CommandError(f"{len(failed)} of {len(runs)} runs diverged: see above.")


def _check_options(arguments):
    for name in NOT_WITH_TABLE if arguments.table else NOT_WITHOUT_TABLE:
        if getattr(arguments, name) is not None:
            option = "FILE" if name == "file" else f"`--{name}`"
            how = "with" if arguments.table else "without"
            raise CommandError(f"{option} must not be given {how} `--table`.")
    if arguments.seeds is not None and arguments.seeds < 1:
        raise CommandError(f"`--seeds` must be at least 1, but is {arguments.seeds}.")
    if arguments.checkpoint_steps is not None and arguments.checkpoint_steps < 1:
        raise CommandError(
            f"`--checkpoint-steps` must be at least 1, but is {arguments.checkpoint_steps}."
        )
    if not arguments.table and arguments.dataset and len(arguments.dataset) > 1:
        raise CommandError("`--dataset` must be one data set without `--table`.")


def _given(arguments) -> dict:
    return {n: getattr(arguments, n) for n in FIELDS if getattr(arguments, n) is not None}


def _single_run(arguments):
    from keras_dla.training import Experiment, read_experiment

    given = _given(arguments)
    if arguments.dataset:
        given["dataset"] = arguments.dataset[0]
    experiment = (
        Experiment(**given) if arguments.file is None else read_experiment(arguments.file, **given)
    )
    return experiment, arguments.output or PARENT / experiment.name


def _table_runs(arguments):
    experiments = table_experiments(
        arguments.table,
        arguments.rows,
        arguments.dataset,
        5 if arguments.seeds is None else arguments.seeds,
        _given(arguments),
    )
    parent = arguments.output or PARENT
    return [(experiment, parent / experiment.name) for experiment in experiments]


def _train_all(runs, arguments) -> list[Path]:
    """Trains run after run; returns the folders of those that diverged."""
    from keras_dla.training import DivergenceError, is_finished

    # All folders first, so that a wrong one is not found hours later.
    left = [run for run in runs if not is_finished(*run)]
    if len(left) < len(runs):
        tell(f"{len(runs) - len(left)} of {len(runs)} runs are done.")
    failed = []
    for number, (experiment, folder) in enumerate(left, start=1):
        tell(f"Run {number} of {len(left)}: {folder} ...")
        try:
            _train(experiment, folder, arguments)
        except DivergenceError as error:
            tell(f"{folder}: {error}")
            failed.append(folder)
    return failed


def _train(experiment, folder, arguments):
    import keras

    from keras_dla.training import prepare_experiment

    keras.utils.clear_session()  # the graphs of the run before
    run_ = prepare_experiment(experiment, folder, arguments.data_dir)
    try:
        # Keras's progress bar is not the command's result.
        with contextlib.redirect_stdout(sys.stderr):
            run_.train(checkpoint_steps=arguments.checkpoint_steps)
    except KeyboardInterrupt:
        done = f"{run_.progress.epochs} of {experiment.epochs} epochs"
        tell(f"\nStopped after {done}; the same command goes on.")
        raise
