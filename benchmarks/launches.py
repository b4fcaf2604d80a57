"""Counts the operations that PyTorch launches for a network, call by call and compiled.

    python benchmarks/launches.py --networks resnet dla_l dla_b
    python benchmarks/launches.py --reference path/to/the/authors/checkout --no-compiled

On a graphics card the time of a small network is that of its launches. They are counted in
inference and in a forward and backward pass of training, without views and allocations, in two
ways: what PyTorch dispatches to the device, and the operations in its profile that call no others.
A convolution, BN or matrix product counts as one, whatever it calls on a CPU. For the compiled
network, the calls of fused kernels and of library kernels are counted in the code that PyTorch's
compiler generates.
`--reference` is a checkout of the authors' repository.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent))
from worker import REFERENCE_NAMES

NETWORKS = ("resnet", "dla_l", "dla_b")
# What moves no data: views of a tensor, and new memory for one.
MOVES_NO_DATA = re.compile(
    r"(_?(unsafe_)?view|as_strided|permute|expand|slice|select|transpose|t|unsqueeze|squeeze|detach|"
    r"alias|_reshape_alias|split|split_with_sizes|unbind|lift_fresh|diagonal|unfold|"
    r"empty\w*|new_empty\w*|resize_|set_|_local_scalar_dense|is_same_size)_?"
)
# What the profiler shows besides, which moves data only by the operations it calls.
CALLS_OTHERS = re.compile(
    r"to|reshape|contiguous|narrow|chunk|movedim|broadcast_to|expand_as|view_as|flatten|item|"
    r"resize_as_|resolve_\w+|result_type|numpy_T|squeeze\w*|unflatten|is_\w+"
)
LIBRARY_CALL = re.compile(r"convolution(_backward)?|native_batch_norm(_backward)?|(add|b)?mm")
FUSED = re.compile(r"^\s+(?:cpp_fused\w*|triton_\w+\.run)\(", re.MULTILINE)
LIBRARY = re.compile(r"^\s+(?:\w+ = )?(?:extern_kernels\.|torch\.ops\.|aten\.)\w", re.MULTILINE)


class Launches(TorchDispatchMode):
    """Counts by name what PyTorch sends to the device, of the backward pass too."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if not MOVES_NO_DATA.fullmatch(name):
            self.counts[name] += 1
        return function(*args, **(kwargs or {}))


def dispatched(function: Callable) -> Counter:
    """Returns by name the operations that a call of `function` dispatches."""
    function()
    with Launches() as launched:
        function()
    return launched.counts


def profiled(function: Callable) -> Counter:
    """Returns by name the operations in a profile of `function` that call no others."""
    function()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        function()
    counts: Counter = Counter()
    for event in profile.events():
        if event.cpu_parent is None:
            counts.update(_leaves(event))
    return counts


def _leaves(event) -> Counter:
    name = event.name.removeprefix("aten::")
    is_operation = event.name != name
    if is_operation and LIBRARY_CALL.fullmatch(name):
        return Counter([name])
    inner = sum(map(_leaves, event.cpu_children), start=Counter())
    moves = not (MOVES_NO_DATA.fullmatch(name) or CALLS_OTHERS.fullmatch(name))
    return Counter([name]) if is_operation and moves and not inner else inner


def compiled_launches(model, run) -> tuple[int, int]:
    """Returns the calls of fused and of library kernels in the compiled code that `run` takes."""
    from torch._inductor.utils import run_and_get_code

    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True)
    _, codes = run_and_get_code(run, compiled)
    calls = [code[code.rindex("def call(") :] for code in codes if "def call(" in code]
    return tuple(sum(len(kind.findall(call)) for call in calls) for kind in (FUSED, LIBRARY))


def ours(name: str, depth: int):
    from keras_dla.models import get_model

    model = get_model(
        f"{name}_{depth}", classes=100, classifier_activation=None, data_format="channels_last",
        input_shape=(32, 32, 3),
    )  # fmt: skip
    return (
        model,
        (lambda model, x: model(x, training=False)),
        lambda model, x: model(x, training=True),
    )


def theirs(name: str, depth: int, reference: str):
    torch.Tensor.cuda = lambda tensor, *_: tensor
    sys.path.insert(0, str(Path(reference) / "image_classification" / "cifar"))
    import models.cifar as networks

    make = vars(networks)[REFERENCE_NAMES[name]]
    model = make(depth=depth, num_classes=100, block_name="bottleneck")
    return model, (lambda model, x: model.eval()(x)), lambda model, x: model.train()(x)


def count(network, images, compiled: bool) -> list[str]:
    """Returns the cells of a network's row: inference and training, counted in three ways."""
    model, infer, train = network

    def inference(model=model):
        with torch.no_grad():
            return infer(model, images)

    def step(model=model):
        for parameter in model.parameters():
            parameter.grad = None
        train(model, images).square().sum().backward()

    runs = inference, step
    cells = [str(way(run).total()) for way in (dispatched, profiled) for run in runs]
    if not compiled:
        return [*cells, "", ""]
    pairs = [compiled_launches(model, run) for run in runs]
    return [*cells, *(f"{sum(pair)} = {pair[0]} + {pair[1]}" for pair in pairs)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--reference", help="a checkout of the authors' repository")
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    images = np.random.default_rng(0).normal(size=(arguments.batch_size, 32, 32, 3))
    images = torch.tensor(images.astype("float32"))
    print(f"depth {arguments.depth}, batch {arguments.batch_size}, PyTorch {torch.__version__}")
    print(
        "| network | dispatched: inference | training | profiled: inference | training "
        "| compiled, fused + library: inference | training |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in arguments.networks:
        rows = [(name, ours(name, arguments.depth), images, arguments.compiled)]
        if arguments.reference:
            network = theirs(name, arguments.depth, arguments.reference)
            channels_first = images.permute(0, 3, 1, 2).contiguous()
            rows.append((f"{name} (authors)", network, channels_first, False))
        for label, *of_network in rows:
            print(f"| {label} | {' | '.join(count(*of_network))} |", flush=True)


if __name__ == "__main__":
    main()
