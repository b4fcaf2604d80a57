"""Times Faster R-CNN on the backend that is set, and its parts.

    KERAS_BACKEND=torch python benchmarks/detectors.py
    KERAS_BACKEND=jax python benchmarks/detectors.py --backbone dla_l_50 --batch-size 2

Prints images per second in training and in inference, and the share of the time of each part: the
networks (backbone, pyramid, proposal network, box head), then what lies between them. The parts
run alone, on maps and boxes of the same size, after each measured step of the whole; in training
forward and backward. Their shares need not add up to the whole, which runs as one program.

With `--beside-torchvision`, steps of torchvision's Faster R-CNN with the same settings take turns
with ours. With one thread (`OMP_NUM_THREADS=1`) and `--clock cpu`, other programs on the machine
hardly disturb it:

    OMP_NUM_THREADS=1 KERAS_BACKEND=torch python benchmarks/detectors.py --size 320 320 \\
        --batch-size 2 --beside-torchvision --clock cpu

`--blocks 1 1 1 1` does so with a small backbone of four blocks.
"""

import argparse
import os

import keras
import numpy as np
from clocks import CLOCKS, measure
from detection_parts_worker import jax_steps, random_boxes, tensorflow_steps, torch_steps
from keras import ops
from torchvision_detector import torchvision_steps

from keras_dla.data import DetectionDataset, ShapesSource
from keras_dla.detection import FasterRCNN
from keras_dla.detection.faster_rcnn import POOLED_SIZE, POSITIVE_FRACTION
from keras_dla.detection.heads.box_head import box_detections
from keras_dla.detection.heads.proposals import region_proposals
from keras_dla.detection.heads.region_proposal_network import region_proposal_losses
from keras_dla.detection.ops.box_matcher import match_boxes
from keras_dla.detection.ops.box_sampler import sample_boxes
from keras_dla.models import ResNet
from keras_dla.training import DETECTION, keep_freed_memory
from keras_dla.utils.names import IMAGENET_DEPTHS

STEPS = {"jax": jax_steps, "tensorflow": tensorflow_steps, "torch": torch_steps}

JIT = False if keras.backend.backend() == "tensorflow" else "auto"


def backbone_of(arguments):
    if arguments.blocks is None:
        return arguments.backbone
    return ResNet(tuple(arguments.blocks), None, stem="imagenet", include_top=False)


def batch_of(arguments):
    source = ShapesSource(
        arguments.batch_size, arguments.size, shape_sizes=(32, min(arguments.size) // 2)
    )
    shape = {"shorter_side": min(arguments.size), "padded_shape": arguments.size}
    return DetectionDataset(source, arguments.batch_size, **shape)[0]


def networks_of(model, images, maps, arguments) -> dict:
    """Returns for each network its training step and its inference."""
    features = [ops.convert_to_numpy(level) for level in model.backbone(images).values()]
    size, channels = POOLED_SIZE, model.settings["channels"]
    numbers = {"train": model.settings["samples"], "infer": model.settings["proposals"]}
    crops = {
        kind: np.ones((arguments.batch_size, number, size, size, channels), "float32")
        for kind, number in numbers.items()
    }
    cases = {
        "backbone": (model.backbone, images, images),
        "pyramid": (model.pyramid, features, features),
        "proposal network": (model.proposal_network, maps, maps),
        "box head": (model.box_head, crops["train"], crops["infer"]),
    }
    steps = {name: network_steps(*case) for name, case in cases.items()}
    return {
        kind: {name: pair[number] for name, pair in steps.items()}
        for number, kind in enumerate(numbers)
    }


def network_steps(network, train_inputs, infer_inputs):
    """A step by the mean squares of the outputs, and a prediction."""
    inputs = keras.tree.map_structure(common_input, train_inputs, infer_inputs)
    outputs = keras.tree.flatten(network(inputs))
    model = keras.Model(inputs, outputs)
    losses = [lambda _, output: ops.mean(ops.square(output))] * len(outputs)
    model.compile(keras.optimizers.SGD(1e-6), losses, jit_compile=JIT)
    nothing = [np.zeros((len(keras.tree.flatten(train_inputs)[0]), 1), "float32")] * len(outputs)
    return (
        lambda: model.train_on_batch(train_inputs, nothing),
        lambda: model.predict_on_batch(infer_inputs),
    )


def common_input(first, second):
    """An input for both arrays."""
    sides = zip(first.shape[1:], second.shape[1:], strict=True)
    return keras.Input([m if m == n else None for m, n in sides])


def parts_of(model, x, y, arguments) -> dict:
    """Returns for each part a function without arguments, in training and in inference."""
    maps = [ops.convert_to_numpy(level) for level in model._maps(x["images"], False)]
    networks = networks_of(model, x["images"], maps, arguments)
    anchors = model._anchors(maps)
    total = sum(map(len, anchors))
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(arguments.batch_size, total)).astype("float32")
    deltas = (0.1 * rng.normal(size=(arguments.batch_size, total, 4))).astype("float32")
    count, samples = model.settings["proposals"], model.settings["samples"]
    settings = {"batch_size": arguments.batch_size, "size": arguments.size, "jit_compile": False}
    proposals = random_boxes(settings, count)
    every = np.concatenate(anchors)
    valid = np.ones(proposals.shape[:2], bool)

    def steps(form, first, second):
        return STEPS[keras.backend.backend()](form, first, second, settings)

    def propose(candidates):
        return lambda first, sizes: region_proposals(
            first[0], first[1], anchors, sizes, candidates, count
        )[0]

    def proposal_losses(first, targets):
        is_object = targets["classes"] >= 0
        losses = region_proposal_losses(
            *first, every, targets["boxes"], is_object, targets["sizes"], seed=0
        )
        return ops.stack(losses)

    def sample(first, targets):
        matches = match_boxes(first[0], targets["boxes"], targets["classes"] >= 0)
        return sample_boxes(matches, samples, POSITIVE_FRACTION, seed=0)[0]

    def crop(maps, boxes):
        return model._crops([*maps, None], boxes, POOLED_SIZE)

    def decode(first, sizes):
        found = box_detections(first[0], first[1], proposals, valid, sizes, max_detections=100)
        return found["scores"]

    classes = model.settings["classes"]
    heads = [
        rng.normal(size=(arguments.batch_size, count, classes + 1)).astype("float32"),
        (0.1 * rng.normal(size=(arguments.batch_size, count, classes, 4))).astype("float32"),
    ]
    outputs, sizes = [logits, deltas], x["sizes"]
    y = {"boxes": y["boxes"], "classes": y["classes"], "sizes": sizes}
    return {
        "train": {
            **networks["train"],
            "proposals": steps(propose(2 * count), outputs, sizes)[0],
            "proposal losses": steps(proposal_losses, outputs, y)[1],
            "sampling": steps(sample, [proposals], y)[0],
            "RoIAlign": steps(crop, maps[:-1], proposals[:, :samples])[1],
        },
        "infer": {
            **networks["infer"],
            "proposals": steps(propose(count), outputs, sizes)[0],
            "RoIAlign": steps(crop, maps[:-1], proposals)[0],
            "detections": steps(decode, heads, sizes)[0],
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default="resnet_50")
    parser.add_argument(
        "--blocks", type=int, nargs=4, help="in place of --backbone, a plain ResNet of these stages"
    )
    parser.add_argument("--size", type=int, nargs=2, default=(800, 1216), help="size of the images")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="measured steps")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="seconds of what")
    parser.add_argument(
        "--beside-torchvision", action="store_true", help="compare with torchvision's Faster R-CNN"
    )
    arguments = parser.parse_args()
    arguments.size = tuple(arguments.size)
    keep_freed_memory()
    model = FasterRCNN(backbone_of(arguments), classes=80)
    model.compile(DETECTION.optimizer(1000), jit_compile=JIT)
    x, y = batch_of(arguments)
    steps = {
        "train": {"whole": lambda: model.train_on_batch(x, y)},
        "infer": {"whole": lambda: model.predict_on_batch(x)},
    }
    if arguments.beside_torchvision:
        blocks = arguments.blocks or IMAGENET_DEPTHS[50]
        for kind, step in torchvision_steps(model, blocks, x, y).items():
            steps[kind]["torchvision"] = step
    for kind, parts in parts_of(model, x, y, arguments).items():
        steps[kind] |= parts
    size = "x".join(map(str, arguments.size))
    backbone = arguments.blocks or arguments.backbone
    print(
        f"Faster R-CNN, {backbone}, {keras.backend.backend()}, images {size}, "
        f"batch {arguments.batch_size}, CPU cores {os.cpu_count()}"
    )
    print("| step | part | seconds | share |")
    print("|---|---|---|---|")
    for kind, functions in steps.items():
        seconds = measure(functions, arguments.rounds, CLOCKS[arguments.clock])
        for name, value in seconds.items():
            print(f"| {kind} | {name} | {value:.2f} | {value / seconds['whole']:.0%} |")
        rate = arguments.batch_size / seconds["whole"]
        print(f"| {kind} | images per second | {rate:.2f} | |", flush=True)


if __name__ == "__main__":
    main()
