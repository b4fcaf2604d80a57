"""Runs one network: takes one step for every line that it reads, and answers with seconds."""

import json
import resource
import sys
from pathlib import Path

import numpy as np
from clocks import CLOCKS

REFERENCE_NAMES = {
    "resnet": "resnet",
    "se": "senet",
    "eca": "ecanet",
    "mrla_b": "mrla_base",
    "mrla_l": "mrla_light",
    "dla_b": "dla_b",
    "dla_l": "dla_l",
}


def ours(settings, images, labels):
    """Returns functions that do a training step (`None` if folded) and an inference of ours."""
    import keras

    import keras_dla

    name = f"{settings['network']}_{settings['depth']}"
    model = keras_dla.models.get_model(
        name,
        classifier_activation=None,
        input_shape=images.shape[1:],
        **keras_dla.models.used_options(name, formulation=settings["formulation"]),
    )
    if settings["folded"]:
        folded = keras_dla.models.fold_batch_norm(model)
        return None, lambda: folded.predict_on_batch(images)
    jit_compile = {"auto": "auto", "on": True, "off": False}[settings["jit_compile"]]
    model.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    return lambda: model.train_on_batch(images, labels), lambda: model.predict_on_batch(images)


def theirs(settings, images, labels):
    """The same of the authors' network, which asks for a GPU and gets none."""
    import torch

    torch.Tensor.cuda = lambda tensor, *_: tensor
    sys.path.insert(0, str(Path(settings["reference"]) / "image_classification" / "cifar"))
    import models.cifar as networks

    name = REFERENCE_NAMES[settings["network"]]
    model = vars(networks)[name](depth=settings["depth"], num_classes=100, block_name="bottleneck")
    images = torch.tensor(images.transpose(0, 3, 1, 2) if images.shape[-1] == 3 else images)
    labels = torch.tensor(labels)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def train():
        model.train()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    def infer():
        model.eval()
        with torch.no_grad():
            model(images).numpy()

    return train, infer


def answer(value: float) -> None:
    print(f"answer {value}", flush=True)


def peak_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    settings = json.loads(sys.argv[1])
    generator = np.random.default_rng(0)
    shape = (settings["batch_size"], 32, 32, 3)
    images = generator.standard_normal(shape).astype("float32")
    labels = generator.integers(0, 100, settings["batch_size"])
    train, infer = (theirs if settings["reference"] else ours)(settings, images, labels)
    for _ in range(2):
        if train:
            train()
        infer()
    answer(peak_memory())
    clock = CLOCKS[settings["clock"]]
    for line in sys.stdin:
        if line.strip() == "memory":
            answer(peak_memory())
            continue
        step = {"train": train, "infer": infer}[line.strip()]
        start = clock()
        for _ in range(settings["steps"]):
            step()
        answer((clock() - start) / settings["steps"])


if __name__ == "__main__":
    main()
