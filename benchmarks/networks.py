"""Times training steps and inference of the networks, beside the plain ResNet of the same depth.

    python benchmarks/networks.py --depth 56 --batch-size 64
    python benchmarks/networks.py --depth 110 --batch-size 32 --reference path/to/their/checkout

Every network runs in a process of its own, so that its peak memory can be measured; the processes
take turns, so that whatever else the machine does affects all of them alike. After the others'
turns the processor's caches are cold, which matters for small steps: with several in a turn, as in
`--batch-size 1 --steps 20`, it is the time of images that follow each other. `--reference` is a
checkout of the authors' repository, whose PyTorch networks then run beside ours.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from clocks import CLOCKS
from provenance import provenance

WORKER = Path(__file__).parent / "worker.py"
BACKENDS = ("tensorflow", "jax", "torch")
# What keep_freed_memory() does, for the authors' code too.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "16000000000"}
NETWORKS = ("resnet", "mrla_b", "mrla_l", "dla_b", "dla_l")
DIGITS = {"train": 3, "infer": 4}
OTHERS = ("se", "eca", "cbam", "gc", "ba", "nl", "a2", "aa", "rla_g", "dianet")


class Worker:
    """A process that holds one network and does steps when asked."""

    def __init__(self, label: str, backend: str, settings: dict):
        self.label = label
        self.trains = not settings["folded"]
        variables = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            [sys.executable, WORKER, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **KEEP_FREED_MEMORY, **variables},
            text=True,
        )
        self.times = {"train": [], "infer": []}
        self.peak = self._answer()

    def step(self, kind: str) -> None:
        print(kind, file=self.process.stdin, flush=True)
        self.times[kind].append(self._answer())

    def stop(self) -> None:
        print("memory", file=self.process.stdin, flush=True)
        self.peak = self._answer()
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> float:
        for line in self.process.stdout:
            if line.startswith("answer "):
                return float(line.split()[1])
        raise RuntimeError(f"The process of {self.label} ended with {self.process.wait()}.")


def settings_of(arguments, network: str) -> dict:
    return {
        "network": network,
        "depth": arguments.depth,
        "batch_size": arguments.batch_size,
        "formulation": arguments.formulation,
        "jit_compile": arguments.jit_compile,
        "clock": arguments.clock,
        "steps": arguments.steps,
        "folded": False,
        "reference": None,
    }


def start_workers(arguments, backend: str) -> list[Worker]:
    workers = [
        Worker(network, backend, settings_of(arguments, network)) for network in arguments.networks
    ]
    if arguments.folded:
        workers += [
            Worker(
                f"{network} (folded)", backend, settings_of(arguments, network) | {"folded": True}
            )
            for network in arguments.networks
        ]
    if backend == "torch" and arguments.reference:
        workers += [
            Worker(
                f"{network} (authors)",
                backend,
                settings_of(arguments, network) | {"reference": arguments.reference},
            )
            for network in arguments.networks
        ]
    return workers


def measure(arguments, backend: str) -> list[Worker]:
    workers = start_workers(arguments, backend)
    for _ in range(arguments.rounds):
        for worker in workers:
            if worker.trains:
                worker.step("train")
        for worker in workers:
            worker.step("infer")
    for worker in workers:
        worker.stop()
    return workers


def table(backend: str, workers: list[Worker]) -> str:
    """The measured figures; the ratios are to the plain ResNet of the same code."""
    plain = {}
    rows = []
    for worker in workers:
        family = "authors" if "(authors)" in worker.label else "ours"
        medians = {kind: statistics.median(times) for kind, times in worker.times.items() if times}
        first = plain.setdefault(family, medians)
        train, infer = (seconds(medians, first, kind) for kind in ("train", "infer"))
        rows.append(f"| {backend} | {worker.label} | {train} | {infer} | {worker.peak:.2f} |")
    return "\n".join(rows)


def seconds(medians: dict, plain: dict, kind: str) -> str:
    """The seconds of a step and their multiple of the plain network's; empty if not measured."""
    if kind not in medians:
        return " | "
    return f"{medians[kind]:.{DIGITS[kind]}f} | {medians[kind] / plain[kind]:.2f}"


def installed(backend: str) -> bool:
    return importlib.util.find_spec(backend) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depth", type=int, default=56)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=(*NETWORKS, *OTHERS))
    parser.add_argument("--backends", nargs="+", default=[b for b in BACKENDS if installed(b)])
    parser.add_argument("--formulation", default="official")
    parser.add_argument("--jit-compile", choices=("auto", "on", "off"), default="auto")
    parser.add_argument(
        "--folded", action="store_true", help="also ours with BN in the convolutions (inference)"
    )
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="seconds of what")
    parser.add_argument("--rounds", type=int, default=5, help="measured turns of each network")
    parser.add_argument("--steps", type=int, default=1, help="in each turn; their mean counts")
    parser.add_argument("--reference", help="a checkout of the authors' repository")
    arguments = parser.parse_args()
    print(provenance())
    print(f"depth {arguments.depth}, batch {arguments.batch_size}")
    print("| backend | network | s / training step | x plain | s / inference | x plain | peak GB |")
    print("|---|---|---|---|---|---|---|")
    for backend in arguments.backends:
        print(table(backend, measure(arguments, backend)), flush=True)


if __name__ == "__main__":
    main()
