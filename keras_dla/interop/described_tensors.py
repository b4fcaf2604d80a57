"""Describes the checkpoint of a ResNet from its names and shapes."""

import re
from collections.abc import Mapping

import numpy as np

from keras_dla.utils.names import IMAGENET_DEPTHS

BLOCK = re.compile(
    r"(?:layer|stages\.)(\d+)\.(?:layers\.|blocks\.|ModuleList\.)?(\d+)\.conv1\.weight"
)
DEPTHS: dict[tuple[int, ...], int] = {blocks: depth for depth, blocks in IMAGENET_DEPTHS.items()}
BASIC_DEPTHS: dict[tuple[int, ...], int] = {(2, 2, 2, 2): 18, (3, 4, 6, 3): 34}
# What the names of an interaction's tensors contain.
PARTS = {
    "layer_attention": "DLA",
    ".mrla.": "MRLA",
    ".lstm.": "DIANet",
    ".eca.": "ECA",
    ".se.conv.": "ECA",  # as timm names it
    ".se.": "SE",
    ".se_module.": "SE",
    ".attn.": "self-attention",
}


def describe(tensors: Mapping[str, np.ndarray]) -> str:
    """Describes the tensors in a few words: `"a ResNet-50 for 1000 classes"`.

    Args:
        tensors: dictionary of arrays by name, in PyTorch's order of axes.
    """
    blocks = block_counts(tensors)
    if not blocks:
        first = next(iter(tensors))
        return f"{len(tensors)} tensors that do not belong to a ResNet, such as {first!r}"
    told = f"{_interaction(tensors)}{_kind(tensors)}{_depth(tensors, blocks)}"
    told = f"{'an' if told.startswith(('SE ', 'ECA ', 'MRLA ')) else 'a'} {told}"
    if tensors.get("fc.weight") is not None:
        told += f" for {len(tensors['fc.weight'])} classes"
    return told


def block_counts(tensors: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Returns the number of blocks of each stage."""
    found: dict[int, int] = {}
    for name in tensors:
        match = BLOCK.fullmatch(name)
        if match:
            stage, block = int(match[1]), int(match[2])
            found[stage] = max(found.get(stage, 0), block + 1)
    return tuple(found[stage] for stage in sorted(found))


def difference(tensors: Mapping[str, np.ndarray]) -> str | None:
    """Returns how a ResNet's blocks or stem differ from those of this package, or `None`."""
    if not block_counts(tensors):
        return None
    return _other_blocks(tensors) or _other_stem(tensors)


def _other_blocks(tensors: Mapping[str, np.ndarray]) -> str | None:
    if any(name.startswith("stages.0.blocks.0.norm1.") for name in tensors):
        return "its normalisation comes before its convolutions (ResNetV2), where ours comes after"
    if not any(name.endswith(".conv3.weight") for name in tensors):
        return "it has BasicBlocks of two convolutions, where ours are bottlenecks of three"
    if "bn1.weight" in tensors and "bn1.running_mean" not in tensors:
        return "its normalisation has no moving statistics (GroupNorm), where ours is BN"
    if any(".convs.0." in name for name in tensors):
        return "its 3x3 convolutions are split into several (Res2Net), which ours are not"
    if any(".se_module." in name for name in tensors):
        return (
            "the linear maps of its squeeze-and-excitation have biases and its stride is in the "
            "first 1x1 convolution (SENet), where ours have none and it is in the 3x3 convolution"
        )
    if any(re.search(r"downsample\.[12]\.weight", n) and t.ndim == 4 for n, t in tensors.items()):
        return "its shortcuts average before their convolution (ResNet-D), which ours do not"
    kernels = [t for n, t in tensors.items() if n.endswith(".conv2.weight") and t.ndim == 4]
    if any(t.shape[1] != t.shape[0] for t in kernels):
        return "its 3x3 convolutions have groups (ResNeXt), which ours do not"
    last = [t for n, t in tensors.items() if n.endswith(".conv3.weight") and t.ndim == 4]
    if all(t.shape[0] < 4 * t.shape[1] for t in last):
        return "its bottlenecks are wider than a quarter of its maps (Wide ResNet), unlike ours"
    if any(n.endswith((".se.fc1.bias", ".se.fc1.weight")) for n in tensors):
        return "the linear maps of its squeeze-and-excitation have biases, which ours do not"
    return None


def _other_stem(tensors: Mapping[str, np.ndarray]) -> str | None:
    if "conv1.weight" not in tensors and "conv1.0.weight" in tensors:
        return "its stem is three 3x3 convolutions (ResNet-C or -D), where ours is one 7x7"
    stem = tensors.get("conv1.weight")
    if stem is not None and stem.ndim == 4 and stem.shape[2:] not in ((7, 7), (3, 3)):
        return f"its stem is a {stem.shape[2]}x{stem.shape[3]} convolution"
    return None


def _interaction(tensors: Mapping[str, np.ndarray]) -> str:
    return next((f"{told} " for part, told in PARTS.items() if any(part in n for n in tensors)), "")


def _kind(tensors: Mapping[str, np.ndarray]) -> str:
    stem = tensors.get("conv1.weight")
    if stem is None:
        return ""
    return "CIFAR " if stem.ndim == 4 and stem.shape[2:] == (3, 3) else ""


def _depth(tensors: Mapping[str, np.ndarray], blocks: tuple[int, ...]) -> str:
    basic = not any(name.endswith(".conv3.weight") for name in tensors)
    if len(blocks) == 3 and len(set(blocks)) == 1:
        return f"ResNet-{(6 if basic else 9) * blocks[0] + 2}"
    known = (BASIC_DEPTHS if basic else DEPTHS).get(blocks)
    return f"ResNet-{known}" if known else f"ResNet with {'-'.join(map(str, blocks))} blocks"
