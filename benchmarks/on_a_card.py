"""Measures the networks on a graphics card in under eight minutes, on PyTorch and JAX.

    python benchmarks/on_a_card.py --output card --reference path/to/the/authors/checkout
    python benchmarks/on_a_card.py --tiny --no-compiled       # on any machine, to see that it runs

It needs neither a network connection nor TensorFlow. `--output card` writes `card.json`, with
everything measured, and `card.md`, the same as a table. Seconds are medians. An epoch has as
many images as CIFAR-100; they are random and lie on the card. Measurements for which no time is
left are skipped. PyTorch's peak memory is that of one measurement; JAX's is the highest of the
process so far.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(__file__).parent
SIZES = {
    "networks": ["resnet_20", "dla_l_20", "dla_l_56", "dla_l_110", "dla_l_50"],
    "batch_size": 128,
    "steps": 10,
    "seeds": 5,
    "images": 50_000,
}
TINY = {"networks": ["dla_l_11"], "batch_size": 2, "steps": 1, "seeds": 2, "images": 4}
COLUMNS = ("backend", "network", "mode", "precision", "forward", "step", "memory", "launches")
UNITS = {"forward": "forward (ms)", "step": "step (ms)", "memory": "peak memory (GB)"}


def measure(backend: str, settings: dict) -> list[dict]:
    """Returns what the backend's worker prints before its time is over."""
    command = [sys.executable, str(FOLDER / f"on_a_card_{backend}.py"), json.dumps(settings)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
        timer = threading.Timer(settings["seconds"], worker.kill)
        timer.start()
        for line in worker.stdout:
            if line.startswith("measured "):
                rows.append({"backend": backend, **json.loads(line.removeprefix("measured "))})
                print(rows[-1], file=sys.stderr, flush=True)
        timer.cancel()
        late = time.monotonic() >= settings["ends"]
    if worker.returncode and not late:
        raise SystemExit(f"on_a_card.py: the worker of {backend} failed, see above.")
    return rows


def table(rows: list[dict], title: str) -> str:
    lines = [title, "", "| " + " | ".join(UNITS.get(c, c) for c in COLUMNS) + " |"]
    lines.append("|" + "---|" * len(COLUMNS))
    for row in rows:
        lines.append("| " + " | ".join(_cell(column, row.get(column)) for column in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def _cell(column, value):
    if value is None:
        return ""
    if column in ("forward", "step"):
        return f"{1000 * value:.1f}"
    return f"{value:.2f}" if column == "memory" else str(value)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", type=Path, default=Path("card"), help="the two files, without their endings")
    add("--backends", nargs="+", choices=("torch", "jax"), default=("torch", "jax"))
    add("--networks", nargs="+", help="names as of keras-dla list")
    add("--reference", help="a checkout of the authors' repository")
    add("--minutes", type=float, default=7.5, help="for all backends together")
    add("--tiny", action="store_true", help="sizes for a CPU")
    add("--compiled", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if not arguments.output.parent.is_dir():
        raise SystemExit(f"on_a_card.py: --output {arguments.output} lies in no existing folder.")
    settings = {**(TINY if arguments.tiny else SIZES)}
    if arguments.networks:
        settings["networks"] = arguments.networks
    settings |= {"reference": arguments.reference, "compiled": arguments.compiled}
    ends = time.monotonic() + 60 * arguments.minutes
    rows = []
    for done, backend in enumerate(arguments.backends):
        seconds = (ends - time.monotonic()) / (len(arguments.backends) - done)
        settings |= {"seconds": seconds, "ends": time.monotonic() + seconds}
        rows += measure(backend, settings)
        title = f"Batch {settings['batch_size']}; ImageNet's networks a quarter of it."
        arguments.output.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
        arguments.output.with_suffix(".md").write_text(table(rows, title))
    print(table(rows, title))


if __name__ == "__main__":
    main()
