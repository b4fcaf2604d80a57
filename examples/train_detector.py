"""Trains a detector with a backbone of the paper (Section 4.2), with COCO's evaluation.

    KERAS_BACKEND=torch python examples/train_detector.py
    KERAS_BACKEND=jax python examples/train_detector.py --detector mask_rcnn
    KERAS_BACKEND=jax python examples/train_detector.py --backbone dla_l_50 --side 800 \\
        --data coco --annotations train.json --images train2017 \\
        --val-annotations val.json --val-images val2017
    KERAS_BACKEND=jax python examples/train_detector.py --backbone dla_l_50 --side 600 \\
        --data voc/2007 --data-dir tensorflow_datasets

The first command trains Faster R-CNN on made-up shapes, without a download: 12 epochs of 2000
images, more than 20 minutes on two CPU cores. Results of such runs are in docs/results.md.

The run's folder gets a log (`log.csv`), the best model by AP50 on the validation images
(`best.keras`), the state to resume from (`last.keras`, with `--resume`), the table of the
evaluation and images of detections. Table and images show the last epoch's model on the validation
images, or, with `--test-annotations` and `--test-images`, the best model on these, which were not
used to choose it.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import keras
import numpy as np

import keras_dla
from keras_dla.analysis import plot_detections
from keras_dla.data import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CocoSource,
    DetectionDataset,
    ShapesSource,
    TfdsSource,
    common_padded_shape,
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
from keras_dla.training import (
    DETECTION,
    DivergenceError,
    EpochCheckpoint,
    Progress,
    keep_freed_memory,
    load_last,
    open_run,
    set_random_seed,
)
from keras_dla.utils.out_of_memory import as_memory_error

VALIDATION_IMAGES = 200
PREPARED = ("coco/2017", "voc/2007", "voc/2012")
FILES = ("annotations", "images", "val_annotations", "val_images")
TEST_FILES = ("test_annotations", "test_images")


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--detector",
        choices=("faster_rcnn", "mask_rcnn", "retinanet"),
        default="faster_rcnn",
        help="default: %(default)s",
    )
    add(
        "--backbone",
        default="small",
        help="dla_l_50, se_50, resnet_101, ..., or small, a short and narrow DLA network (default: "
        "%(default)s)",
    )
    add(
        "--data",
        choices=("shapes", "coco", *PREPARED),
        default="shapes",
        help="made-up shapes (the default), files in COCO's format, or data prepared by "
        "tensorflow-datasets",
    )
    add(
        "--data-dir",
        metavar="DIR",
        help="folder of tensorflow-datasets (default: ~/tensorflow_datasets)",
    )
    add("--annotations", metavar="FILE", help="COCO-format JSON of the training images")
    add("--images", metavar="DIR", help="folder of the training images")
    add(
        "--val-annotations",
        metavar="FILE",
        help="COCO-format JSON of the images by which the best model is chosen",
    )
    add("--val-images", metavar="DIR", help="folder of these images")
    add(
        "--test-annotations",
        metavar="FILE",
        help="COCO-format JSON of images that are used only for the final table",
    )
    add("--test-images", metavar="DIR", help="folder of these images")
    add(
        "--side",
        type=int,
        default=128,
        metavar="PIXELS",
        help="shorter side of the images; 800 in the paper (default: %(default)s)",
    )
    add(
        "--longer-side",
        type=int,
        metavar="PIXELS",
        help="upper limit of the longer side (default: five thirds of the shorter side)",
    )
    add(
        "--images-per-epoch",
        type=int,
        default=2000,
        metavar="N",
        help="made-up images per epoch (default: %(default)s)",
    )
    # The name before 0.2, which keeps working for one release.
    add("--pictures", type=int, dest="images_per_epoch", help=argparse.SUPPRESS)
    add(
        "--epochs",
        type=int,
        default=DETECTION.epochs,
        metavar="N",
        help="passes over the images (default: %(default)s)",
    )
    add(
        "--batch-size",
        type=int,
        default=DETECTION.batch_size,
        metavar="N",
        help="images per step (default: %(default)s)",
    )
    add(
        "--learning-rate",
        type=float,
        default=DETECTION.learning_rate,
        metavar="X",
        help="learning rate before the first drop (default: %(default)s)",
    )
    add(
        "--warmup-steps",
        type=int,
        default=DETECTION.warmup_steps,
        metavar="N",
        help="steps in which the learning rate rises to that (default: %(default)s)",
    )
    add(
        "--clip",
        type=float,
        metavar="NORM",
        help="clip the gradient to this norm (default: no clipping)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and data (default: 0)")
    add("--mixed-precision", choices=("float16", "bfloat16"), help="default: float32 throughout")
    add("--output", help="folder of the run (default: runs/DETECTOR-BACKBONE-DATA)")
    add("--resume", action="store_true", help="resume the run in the folder")
    args = parser.parse_args(argv)
    folder = f"runs/{args.detector}-{args.backbone}-{args.data.replace('/', '-')}"
    args.output = args.output or folder
    args.longer_side = args.longer_side or args.side * 5 // 3
    check_data(parser, args)
    return args


def check_data(parser, args):
    for name in (*FILES, *TEST_FILES):
        given = getattr(args, name) is not None
        if given and args.data != "coco":
            parser.error(
                f"{option(name)} can only be given with --data coco, but --data is {args.data}"
            )
        if not given and args.data == "coco" and name in FILES:
            parser.error(f"--data coco needs {option(name)}")
    if (args.test_annotations is None) != (args.test_images is None):
        parser.error("--test-annotations and --test-images must be given together")
    if args.data_dir is not None and args.data not in PREPARED:
        parser.error(
            f"--data-dir can only be given with --data {', '.join(PREPARED)}, but "
            f"--data is {args.data}"
        )
    if args.detector == "mask_rcnn" and args.data in PREPARED:
        parser.error(f"--detector mask_rcnn needs masks, which --data {args.data} lacks")


def option(name):
    return f"--{name.replace('_', '-')}"


def sources(args):
    """Returns the sources of training, validation and, if given, test images."""
    if args.data == "shapes":
        return [
            ShapesSource(args.images_per_epoch, args.side, seed=args.seed),
            ShapesSource(VALIDATION_IMAGES, args.side, seed=args.seed + 1),
        ]
    if args.data in PREPARED:
        return [TfdsSource(args.data, split, args.data_dir) for split in ("train", "validation")]
    files = [(args.annotations, args.images), (args.val_annotations, args.val_images)]
    if args.test_annotations is not None:
        files.append((args.test_annotations, args.test_images))
    masks = args.detector == "mask_rcnn"
    return [CocoSource(*pair, masks=masks) for pair in files]


def datasets(args):
    """Returns a data set per source; the first is shuffled and mirrored."""
    train, *others = sources(args)
    check_classes(train, others)
    sides = {"shorter_side": args.side, "longer_side": args.longer_side}
    options = {
        "batch_size": args.batch_size,
        **sides,
        # All batches have the same shape, so that XLA compiles only one program.
        "padded_shape": common_padded_shape(train, *others, **sides),
        "mask_size": 112 if args.detector == "mask_rcnn" else None,
        "data_format": data_format(args),
        "workers": 2,
    }
    return [
        DetectionDataset(train, seed=args.seed, **options),
        *(DetectionDataset(other, flip=0.0, shuffle=False, **options) for other in others),
    ]


def check_classes(train, others):
    for other in others:
        if not set(other.class_names) <= set(train.class_names):
            raise ValueError(
                "all annotations must only have classes of the training images, "
                f"{train.class_names}, but some have {other.class_names}."
            )


def data_format(args):
    """Returns the data format: RetinaNet only supports one, the others follow Keras."""
    is_retinanet = args.detector == "retinanet"
    return RetinaNet.data_format if is_retinanet else keras.config.image_data_format()


def small_backbone(args):
    """Returns a DLA network of four short and narrow stages, for training on a CPU."""
    return ResNet(
        (1, 2, 2, 1),
        "dla_l",
        stem="imagenet",
        planes=(16, 32, 64, 64),
        include_top=False,
        data_format=data_format(args),
    )


def new_model(args, classes, shape, steps_per_epoch):
    backbone = small_backbone(args) if args.backbone == "small" else args.backbone
    if args.detector == "retinanet":
        model = RetinaNet(backbone, classes, image_shape=shape)
    else:
        build = {"faster_rcnn": FasterRCNN, "mask_rcnn": MaskRCNN}[args.detector]
        size = {}
        if args.backbone == "small":
            # For objects of 16 to 64 pixels: anchors of half the size, and small heads.
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
    if args.resume and not Path(args.output).is_dir():
        raise ValueError(
            f"--output must be the folder of a run to resume, but there is no folder {args.output}."
        )
    set_random_seed(args.seed)
    if args.mixed_precision:
        keras.config.set_dtype_policy(f"mixed_{args.mixed_precision}")
    train, val, *test = datasets(args)
    classes = len(train.source.class_names)
    model = new_model(args, classes, train.padded_shape, len(train))
    settings = {name: value for name, value in vars(args).items() if name != "resume"}
    settings["backend"] = keras.backend.backend()
    folder = open_run(args.output, settings, resume=args.resume)
    model, progress = load_last(folder) or (model, Progress())
    train.epoch = progress.epochs
    return model, progress, train, val, *test, folder


def run(args):
    model, progress, train, val, *test, folder = prepare(args)
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
        raise KeyboardInterrupt(f" after {progress.epochs} epochs") from None
    if test:
        report(keras_dla.load_model(folder / "best.keras"), *test, folder)
    else:
        report(model, val, folder)


def main(argv=None):
    args = parse_arguments(argv)
    keep_freed_memory()
    try:
        with as_memory_error():
            run(args)
    except KeyboardInterrupt as stop:
        sys.exit(f"\nStopped{stop}; --resume continues.")
    except (DivergenceError, ValueError, OSError, ImportError, MemoryError) as error:
        sys.exit(f"train_detector.py: {error}")


def report(model, dataset, folder):
    figures = evaluate_coco(model, dataset, by_class=True)
    table = f"{coco_table(figures)}\n{coco_table_by_class(figures, dataset.source.class_names)}"
    print(table)
    Path(folder, "coco.txt").write_text(table + "\n", encoding="utf-8")
    x, y = dataset[0]
    path = Path(folder, "detections.png")
    axes = (0, 1, 2, 3) if dataset.data_format == "channels_last" else (0, 2, 3, 1)
    images = np.clip(x["images"].transpose(axes) * IMAGENET_STD + IMAGENET_MEAN, 0, 1)
    found = model.predict_on_batch(x)
    plot_detections(images, found, path, targets=y, class_names=model.class_names, sizes=x["sizes"])
    print(f"images of detections: {path}")


if __name__ == "__main__":
    main()
