"""`keras-dla weights`: the bundled trained weights."""

import argparse
from pathlib import Path

from keras_dla.cli.command import Commands, new_command, new_group
from keras_dla.cli.options.files import add_force_option, check_output_folder, file_argument
from keras_dla.cli.terminal import print_json, print_table, tell

TEXT = """\
  keras-dla weights list
  keras-dla weights pack runs/cifar100-dla_l_20-official-0
"""
LIST_TEXT = """\
In Python: keras_dla.models.get_model("dla_l_20", weights="cifar100"). On the command line:
keras-dla predict --model dla_l_20 --weights cifar100 cat.png. The accuracy is that of the file
itself on all test images. --json prints the whole cards: recipe, versions, data and licence.
"""
PACK_TEXT = """\
RUN is the folder of a finished run of `keras-dla train`, which is not changed. The weights are
stored in float16, and their accuracy is measured with the file that was written, on all test
images. A card (.json) names the recipe, data and commit from which they come.

Without --output the files are written to the package itself, where `weights="cifar100"` looks for
them: do this in a clone, and commit the files.

  keras-dla weights pack runs/cifar100-dla_l_20-official-0 --data-dir data
  keras-dla weights pack runs/* --output packed
"""


def add_parser(commands: Commands) -> None:
    """Adds the command to the program."""
    parts = new_group(commands, "weights", "list and pack trained weights", "PART", TEXT)
    listed = new_command(parts, "list", list_weights, "list the weights in the package", LIST_TEXT)
    listed.add_argument("--json", action="store_true", help="print the cards as JSON")
    typed = {"folder": "RUN", "checkpoint": "--checkpoint", "data_dir": "--data-dir"}
    packed = new_command(
        parts, "pack", pack, "pack the network of a run into a small file", PACK_TEXT, typed=typed
    )
    file_argument(
        packed, "runs", folder=True, nargs="+", type=Path, metavar="RUN", help="folders of runs"
    )
    packed.add_argument(
        "--checkpoint",
        choices=("last", "best"),
        default="last",
        help="the network after the last epoch (default), or after the epoch with the best test "
        "accuracy, which an unfinished run has too; the card says which",
    )
    file_argument(
        packed,
        "--data-dir",
        folder=True,
        metavar="DIR",
        help="folder in which tensorflow-datasets has prepared the test images (default: download "
        "them)",
    )
    file_argument(
        packed,
        "--output",
        folder=True,
        type=Path,
        metavar="DIR",
        help="folder to write to (default: the package)",
    )
    add_force_option(packed)


def list_weights(arguments: argparse.Namespace) -> None:
    """Prints one line per file."""
    import dataclasses

    from keras_dla.models.trained_weights import shipped_weights

    cards = shipped_weights()
    if arguments.json:
        print_json([dataclasses.asdict(card) for card in cards.values()])
        return
    if not cards:
        tell("no trained weights come with this version.")
        return
    header = ("network", "weights", "epochs", "test accuracy (%)", "kB")
    rows = [
        (
            card.title,
            card.dataset,
            str(card.epoch),
            f"{100 * card.accuracy:.2f}",
            f"{path.stat().st_size / 1000:.0f}",
        )
        for path, card in cards.items()
    ]
    print_table(header, rows, left=2)


def pack(arguments: argparse.Namespace) -> None:
    """Writes the files of each run, and prints the accuracy that was measured."""
    if arguments.output is not None:
        check_output_folder("--output", arguments.output)
    from keras_dla.models.trained_weights import read_card
    from keras_dla.training import pack_weights

    for run in arguments.runs:
        tell(f"Packing {run} ...")
        path = pack_weights(
            run, arguments.output, arguments.data_dir, arguments.checkpoint, arguments.force
        )
        card = read_card(path)
        print(
            f"{path}: {path.stat().st_size:,} bytes, {100 * card.accuracy:.2f} % of "
            f"{card.test_images:,} test images right (the run: {100 * card.run_accuracy:.2f} %)"
        )
