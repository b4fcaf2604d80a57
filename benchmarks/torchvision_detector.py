"""torchvision's Faster R-CNN with the settings of ours, for a comparison side by side."""

import sys
from collections.abc import Callable, Sequence

import numpy as np

from keras_dla.detection import FasterRCNN
from keras_dla.training import DETECTION

NEEDS = (
    "--beside-torchvision needs KERAS_BACKEND=torch, a plain backbone and the torchvision that "
    "belongs to the installed torch"
)


def torchvision_steps(
    model: FasterRCNN, blocks: Sequence[int], x: dict, y: dict
) -> dict[str, Callable[[], None]]:
    """Returns a training step and an inference of torchvision's Faster R-CNN on a plain ResNet.

    Args:
        model: our detector, whose settings are taken over.
        blocks: four integers, the blocks in the backbone's stages.
        x: dictionary, a batch's images and their sizes.
        y: dictionary, its targets.
    """
    try:
        import torch
        from torchvision.models.detection import FasterRCNN as TheirFasterRCNN
        from torchvision.models.detection.backbone_utils import BackboneWithFPN
        from torchvision.models.resnet import Bottleneck, ResNet
    except (ImportError, RuntimeError) as error:
        sys.exit(f"{NEEDS} ({error}).")
    axes = (0, 1, 2, 3) if model.data_format == "channels_first" else (0, 3, 1, 2)
    images = list(torch.tensor(np.ascontiguousarray(np.transpose(x["images"], axes))))
    settings = model.settings
    channels = settings["channels"]
    stages = {f"layer{number}": str(number - 1) for number in range(1, 5)}
    backbone = BackboneWithFPN(
        ResNet(Bottleneck, list(blocks)), stages, [256, 512, 1024, 2048], channels
    )
    theirs = TheirFasterRCNN(
        backbone,
        num_classes=settings["classes"] + 1,
        # The images have their size and are normalised already.
        min_size=min(images[0].shape[1:]),
        max_size=max(images[0].shape[1:]),
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_pre_nms_top_n_train=2 * settings["proposals"],
        rpn_pre_nms_top_n_test=settings["proposals"],
        rpn_post_nms_top_n_train=settings["proposals"],
        rpn_post_nms_top_n_test=settings["proposals"],
        box_batch_size_per_image=settings["samples"],
        box_score_thresh=settings["score_threshold"],
        box_nms_thresh=settings["iou_threshold"],
        box_detections_per_img=settings["max_detections"],
    )
    optimizer = torch.optim.SGD(
        theirs.parameters(),
        1e-4,  # so that new weights stay finite
        momentum=DETECTION.momentum,
        weight_decay=DETECTION.weight_decay,
    )
    targets = [_targets(*pair) for pair in zip(y["boxes"], y["classes"], strict=True)]

    def train() -> None:
        theirs.train()
        optimizer.zero_grad()
        loss = sum(theirs(images, targets).values())
        loss.backward()
        optimizer.step()
        loss.item()

    def infer() -> None:
        theirs.eval()
        with torch.no_grad():
            theirs(images)

    return {"train": train, "infer": infer}


def _targets(boxes, classes):
    """Returns an image's objects; torchvision counts classes from 1."""
    import torch

    real = classes >= 0
    labels = torch.tensor(classes[real].astype("int64") + 1)
    return {"boxes": torch.tensor(boxes[real].astype("float32")), "labels": labels}
