"""Times RoIAlign and non-maximum suppression beside their straightforward forms.

    python benchmarks/detection_parts.py
    python benchmarks/detection_parts.py --parts roi_align --boxes 512 --batch-size 2

The straightforward RoIAlign takes 2x2 samples per bin, gathers the four neighbours of each and does
so on every level for every box; the straightforward suppression picks the best remaining box, one
at a time. Every form runs in a process of its own, so that its peak memory is its own; the
processes take turns. A training step is the forward pass and the gradient with respect to the
feature maps.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from networks import BACKENDS, Worker, installed

SCRIPT = Path(__file__).parent / "detection_parts_worker.py"
# The first form is ours; only crops have gradients.
PARTS = {
    "roi_align": ("ours", "2x2 samples, level by level"),
    "suppression": ("ours", "one by one"),
}
KINDS = {"roi_align": ("infer", "train"), "suppression": ("infer",)}


class PartWorker(Worker):
    """A process that holds one form of one part."""

    def __init__(self, backend: str, settings: dict):
        self.label = settings["form"]
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.times = {"train": [], "infer": []}
        self.peak = self._answer()


def measure(arguments, backend: str, part: str) -> list[PartWorker]:
    settings = {name: value for name, value in vars(arguments).items() if name != "backends"}
    workers = [
        PartWorker(backend, {**settings, "part": part, "form": form}) for form in PARTS[part]
    ]
    for kind in KINDS[part]:
        for _ in range(arguments.rounds):
            for worker in workers:
                worker.step(kind)
    for worker in workers:
        worker.stop()
    return workers


def table(backend: str, part: str, workers: list[PartWorker]) -> str:
    """The measured figures; the ratios are to our form."""
    rows = []
    for worker in workers:
        cells = [backend, part, worker.label]
        for kind in ("infer", "train"):
            times, ours = worker.times[kind], workers[0].times[kind]
            median = statistics.median(times) if times else None
            cells.append(f"{median:.3f}" if times else "")
            cells.append(f"{median / statistics.median(ours):.2f}" if times else "")
        rows.append(f"| {' | '.join(cells)} | {worker.peak:.2f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--backends", nargs="+", default=[b for b in BACKENDS if installed(b)])
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1216), help="size of the images")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--boxes", type=int, default=256, help="boxes per image for RoIAlign")
    parser.add_argument("--channels", type=int, default=256, help="channels of the feature maps")
    parser.add_argument("--output-size", type=int, default=7)
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--candidates", type=int, default=2000, help="boxes before suppression")
    parser.add_argument("--kept", type=int, default=1000, help="most boxes after suppression")
    parser.add_argument("--rounds", type=int, default=5, help="measured steps of each form")
    parser.add_argument("--jit-compile", action="store_true", help="XLA on TensorFlow too")
    arguments = parser.parse_args()
    print(
        f"images {'x'.join(map(str, arguments.size))}, batch {arguments.batch_size}, "
        f"{arguments.boxes} boxes, {arguments.candidates} candidates, CPU cores {os.cpu_count()}"
    )
    print("| backend | part | form | s forward | x ours | s training step | x ours | peak GB |")
    print("|---|---|---|---|---|---|---|---|")
    for backend in arguments.backends:
        for part in arguments.parts:
            print(table(backend, part, measure(arguments, backend, part)), flush=True)


if __name__ == "__main__":
    main()
