"""ResNets of timm: the names and shapes of their tensors, and what timm computes with them.

As a script (`python -m tests.interop.timm_networks`), where timm is installed with torchvision, it
writes the file that the tests read.
"""

import gzip
import json
import math
import zlib
from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[1] / "data" / "timm.json.gz"
CLASSES, SIZE = 10, 64
# What timm computes is kept of these: the plain ResNet-50, and the same with ECA in its blocks.
COMPUTED = {"resnet50": {}, "resnet50 with eca": {"block_args": {"attn_layer": "eca"}}}
OTHERS = (
    "resnet18", "resnet50c", "resnet50d", "resnet50_gn", "resnext50_32x4d", "wide_resnet50_2",
    "res2net50_26w_4s", "resnetv2_50", "seresnet50", "legacy_seresnet50", "seresnet50t",
    "ecaresnet50t", "ecaresnetlight",
)  # fmt: skip


def read() -> dict:
    """Returns the version of timm, shapes by model and name, and logits by model."""
    return json.loads(gzip.decompress(FILE.read_bytes()))


def images() -> np.ndarray:
    """Returns two images, channels last."""
    return np.random.default_rng(1).normal(size=(2, SIZE, SIZE, 3)).astype("float32")


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a tensor as it may be after a training; it follows from its name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) > 1:
        deviation = math.sqrt(2 / math.prod(shape[1:]))
        return (rng.standard_normal(shape, "float32") * deviation).astype("float32")
    if name.endswith(("var", "weight")):
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    return rng.normal(0, 0.2, shape).astype("float32")


def _logits(network) -> list:
    import torch

    state = {
        name: torch.tensor(weight(name, tuple(tensor.shape)))
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    network.load_state_dict(state, strict=False)
    with torch.no_grad():
        return network.eval()(torch.tensor(images().transpose(0, 3, 1, 2))).tolist()


def main() -> None:
    import timm

    networks = {
        name: timm.create_model(name.split()[0], num_classes=CLASSES, **COMPUTED.get(name, {}))
        for name in (*COMPUTED, *OTHERS)
    }
    content = {
        "timm": timm.__version__,
        "shapes": {
            name: {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
            for name, network in networks.items()
        },
        "logits": {name: _logits(networks[name]) for name in COMPUTED},
    }
    FILE.write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))


if __name__ == "__main__":
    main()
