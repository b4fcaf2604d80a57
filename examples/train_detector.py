"""Trains a detector with a backbone of the paper (Section 4.2) and evaluates it as COCO does.

    KERAS_BACKEND=torch python examples/train_detector.py                  made-up shapes, minutes
    KERAS_BACKEND=jax python examples/train_detector.py --detector mask_rcnn
    KERAS_BACKEND=jax python examples/train_detector.py --backbone dla_l_50 --side 800 \\
        --data coco --annotations train.json --images train2017 \\
        --val-annotations val.json --val-images val2017

The run's folder gets a log (`log.csv`), the best model (`best.keras`), the state to go on from
(`last.keras`, with `--resume`), the table of the evaluation and pictures of detections.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np

from keras_dla.analysis import plot_detections
from keras_dla.data import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CocoSource,
    DetectionDataset,
    ShapesSource,
)
from keras_dla.detection import (
    CocoEvaluation,
    FasterRCNN,
    MaskRCNN,
    RetinaNet,
    coco_table,
    coco_table_by_class,
    evaluate_coco,
)
from keras_dla.models import ResNet
from keras_dla.training import DETECTION, EpochCheckpoint, Progress, load_last, open_run

VALIDATION_PICTURES = 200


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--detector", choices=("faster_rcnn", "mask_rcnn", "retinanet"), default="faster_rcnn")
    add("--backbone", default="small", help="such as dla_l_50, se_50, resnet_101; small: see below")
    add("--data", choices=("shapes", "coco"), default="shapes", help="made on the fly, or files")
    add("--annotations", help="COCO-format JSON of the training images")
    add("--images", help="folder of the training images")
    add("--val-annotations")
    add("--val-images")
    add("--side", type=int, default=128, help="shorter side of the images; 800 in the paper")
    add("--longer-side", type=int, help="default: five thirds of the shorter side")
    add("--pictures", type=int, default=2000, help="number of made-up pictures an epoch")
    add("--epochs", type=int, default=DETECTION.epochs)
    add("--batch-size", type=int, default=DETECTION.batch_size)
    add("--learning-rate", type=float, default=DETECTION.learning_rate)
    add("--warmup-steps", type=int, default=DETECTION.warmup_steps)
    add("--clip", type=float, help="largest norm of the gradient")
    add("--seed", type=int, default=0)
    add("--mixed-precision", choices=("float16", "bfloat16"))
    add("--output", help="folder of the run; default runs/DETECTOR-BACKBONE-DATA")
    add("--resume", action="store_true", help="go on with the run in the folder")
    args = parser.parse_args(argv)
    args.output = args.output or f"runs/{args.detector}-{args.backbone}-{args.data}"
    args.longer_side = args.longer_side or args.side * 5 // 3
    if args.data == "coco":
        for name in ("annotations", "images", "val_annotations", "val_images"):
            if getattr(args, name) is None:
                parser.error(f"--data coco needs --{name.replace('_', '-')}")
    return args


def sources(args):
    """Training and validation pictures."""
    if args.data == "coco":
        masks = args.detector == "mask_rcnn"
        return (
            CocoSource(args.annotations, args.images, masks=masks),
            CocoSource(args.val_annotations, args.val_images, masks=masks),
        )
    return (
        ShapesSource(args.pictures, args.side, seed=args.seed),
        ShapesSource(VALIDATION_PICTURES, args.side, seed=args.seed + 1),
    )


def datasets(args, done):
    train, val = sources(args)
    options = {
        "batch_size": args.batch_size,
        "shorter_side": args.side,
        "longer_side": args.longer_side,
        "padded_shape": padded_shape(args, train),
        "mask_size": 112 if args.detector == "mask_rcnn" else None,
        "workers": 2,
    }
    return (
        DetectionDataset(train, seed=args.seed, initial_epoch=done, **options),
        DetectionDataset(val, flip=0.0, shuffle=False, **options),
    )


def padded_shape(args, source):
    """One shape for all batches, so that XLA compiles one program."""
    if args.data == "shapes":
        height = width = args.side
    else:
        height = width = args.longer_side
        shapes = {source[index]["image"].shape[:2] for index in range(min(8, len(source)))}
        if len(shapes) == 1:
            high, wide = shapes.pop()
            scale = min(args.side / min(high, wide), args.longer_side / max(high, wide))
            height, width = round(high * scale), round(wide * scale)
    return -(-height // 32) * 32, -(-width // 32) * 32


def small_backbone():
    """A DLA network of four short and narrow stages, for training without a graphics card."""
    return ResNet(
        (1, 2, 2, 1), "dla_l", stem="imagenet", planes=(16, 32, 64, 64), include_top=False
    )


def new_model(args, classes, shape, steps_per_epoch):
    backbone = small_backbone() if args.backbone == "small" else args.backbone
    if args.detector == "retinanet":
        model = RetinaNet(backbone, classes, image_shape=shape)
    else:
        build = {"faster_rcnn": FasterRCNN, "mask_rcnn": MaskRCNN}[args.detector]
        size = {}
        if args.backbone == "small":
            # Objects of 16 to 64 pixels: anchors of half the size, and small heads.
            size = {"channels": 64, "head_units": 256, "anchor_scale": 4, "finest_scale": 28}
            size |= {"proposals": 200, "samples": 64}
        model = build(backbone, classes, **size)
    recipe = dataclasses.replace(
        DETECTION.scaled(args.epochs),
        learning_rate=args.learning_rate,
        warmup_steps=args.warmup_steps,
    )
    optimizer = recipe.optimizer(steps_per_epoch)
    optimizer.global_clipnorm = args.clip
    model.compile(optimizer)
    return model


def prepare(args):
    keras.utils.set_random_seed(args.seed)
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    train, val = datasets(args, done=0)
    classes = len(train.source.class_names)
    model = new_model(args, classes, train.padded_shape, len(train))
    settings = {name: value for name, value in vars(args).items() if name != "resume"}
    settings["backend"] = keras.backend.backend()
    folder = open_run(args.output, settings, resume=args.resume)
    model, progress = load_last(folder) or (model, Progress())
    if progress.epochs:
        train, val = datasets(args, done=progress.epochs)
    return model, progress, train, val, folder


def main(argv=None):
    args = parse_arguments(argv)
    try:
        model, progress, train, val, folder = prepare(args)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"train_detector.py: {error}")
    try:
        model.fit(
            train,
            epochs=args.epochs,
            initial_epoch=progress.epochs,
            shuffle=False,
            callbacks=[
                CocoEvaluation(val),
                EpochCheckpoint(folder, progress, monitor="val_AP50", mode="max"),
            ],
        )
    except KeyboardInterrupt:
        sys.exit(f"\nStopped after {progress.epochs} epochs; --resume goes on.")
    report(model, val, folder)


def report(model, val, folder):
    figures = evaluate_coco(model, val, by_class=True)
    table = f"{coco_table(figures)}\n{coco_table_by_class(figures, val.source.class_names)}"
    print(table)
    Path(folder, "coco.txt").write_text(table + "\n", encoding="utf-8")
    x, y = val[0]
    path = Path(folder, "detections.png")
    axes = (0, 1, 2, 3) if keras.config.image_data_format() == "channels_last" else (0, 2, 3, 1)
    pictures = np.clip(x["images"].transpose(axes) * IMAGENET_STD + IMAGENET_MEAN, 0, 1)
    found = model.predict_on_batch(x)
    plot_detections(pictures, found, val.source.class_names, path=path, targets=y, sizes=x["sizes"])
    print(f"pictures of detections: {path}")


if __name__ == "__main__":
    main()
