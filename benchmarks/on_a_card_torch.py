"""The measurements of `on_a_card.py` on PyTorch."""

import json
import sys

import torch
from launches import compiled_launches, dispatched, theirs
from on_a_card_common import (
    PRECISIONS,
    batch_of,
    median_seconds,
    new_model,
    tell,
    tell_epoch,
)
from worker import REFERENCE_NAMES

TO_CARD = torch.Tensor.cuda
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def wait(_) -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


class Network:
    """A network, ours or the authors', with the same loss and optimiser around it."""

    def __init__(self, model, infer, train, images, labels):
        self.model, self.infer, self.train = model, infer, train
        self.images, self.labels = images, labels
        parameters = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.SGD(parameters, 0.01, momentum=0.9)

    def forward(self, model=None):
        with torch.no_grad():
            return self.infer(self._given(model), self.images)

    def step(self, model=None):
        self.backward(model)
        self.optimizer.step()

    def backward(self, model=None):
        self.optimizer.zero_grad()
        outputs = self.train(self._given(model), self.images)
        torch.nn.functional.cross_entropy(outputs.float(), self.labels).backward()

    def _given(self, model):
        # Not by `or`, which asks a compiled model for its length.
        return self.model if model is None else model


def tell_mode(run: Network, model, settings: dict, count, **named) -> None:
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    forward = median_seconds(lambda: run.forward(model), wait, settings["steps"])
    step = median_seconds(lambda: run.step(model), wait, settings["steps"])
    memory = torch.cuda.max_memory_allocated() / 1e9 if DEVICE == "cuda" else None
    tell(**named, forward=forward, step=step, memory=memory, launches=count())


def ours(name: str, precision: str, settings: dict) -> Network:
    images, labels = batch_of(name, settings)
    model = new_model(name, images, precision)
    images, labels = torch.tensor(images, device=DEVICE), torch.tensor(labels, device=DEVICE)
    return Network(
        model,
        lambda model, x: model(x, training=False),
        lambda model, x: model(x, training=True),
        images,
        labels.long(),
    )


def tell_ours(name: str, precision: str, settings: dict) -> None:
    network = ours(name, precision, settings)
    tell_mode(network, network.model, settings, lambda: dispatched(network.backward).total(),
              network=name, mode="eager", precision=precision)  # fmt: skip


def tell_theirs(name: str, settings: dict) -> None:
    kind, depth = name.rsplit("_", 1)
    images, labels = batch_of(name, settings)
    if kind not in REFERENCE_NAMES or images.shape[1] != 32:
        return
    model, infer, train = theirs(kind, int(depth), settings["reference"])
    # For a CPU it was made to do nothing, which their forward pass calls.
    if DEVICE == "cuda":
        torch.Tensor.cuda = TO_CARD
    network = Network(
        model.to(DEVICE), infer, train,
        torch.tensor(images.transpose(0, 3, 1, 2).copy(), device=DEVICE),
        torch.tensor(labels, device=DEVICE).long(),
    )  # fmt: skip
    tell_mode(network, network.model, settings, lambda: dispatched(network.backward).total(),
              network=name, mode="the authors', eager", precision="float32")  # fmt: skip


def tell_compiled(name: str, precision: str, settings: dict) -> None:
    network = ours(name, precision, settings)
    counts = compiled_launches(network.model, network.backward)
    model = torch.compile(network.model, fullgraph=True)
    tell_mode(network, model, settings, lambda: " + ".join(map(str, counts)),
              network=name, mode="compiled", precision=precision)  # fmt: skip


def main() -> None:
    settings = json.loads(sys.argv[1])
    names = settings["networks"]
    for name in names:
        tell_ours(name, "float32", settings)
        if settings["reference"]:
            tell_theirs(name, settings)
    for precision in PRECISIONS if settings["compiled"] else ():
        tell_compiled(names[min(1, len(names) - 1)], precision, settings)
    tell_ours(names[-1], "mixed_bfloat16", settings)
    tell_epoch(names[min(1, len(names) - 1)], settings)
    for name in names[2:] if settings["compiled"] else ():
        tell_compiled(name, "float32", settings)


if __name__ == "__main__":
    main()
