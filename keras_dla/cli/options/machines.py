"""The devices and machines that share a training."""

from collections.abc import Callable


def add_machine_options(add: Callable[..., object]) -> None:
    """Adds the options of `keras_dla.training.launch`: `--devices`, `--hosts` and `--host`.

    Args:
        add: the method `add_argument` of a parser or of a group of its options.
    """
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
