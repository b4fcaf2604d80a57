"""Draws what trained detectors find, for `docs/results.md`.

    KERAS_BACKEND=torch python docs/pictures/detectors.py boxes RUN/best.keras \\
        --annotations BCCD/test.json --images BCCD/images
    KERAS_BACKEND=torch python docs/pictures/detectors.py masks RUN/best.keras

The runs are those of `examples/train_detector.py`. The first command shows the first test
photograph that has all classes, whatever is found in it. The second shows, of 200 made-up images
that were not trained on, one with the fewest mistakes, and of those the one with the most objects.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from keras.utils.bounding_boxes import compute_iou
from matplotlib.lines import Line2D
from PIL import Image

import keras_dla
from keras_dla.analysis import plot_detections
from keras_dla.analysis.plots.plot_detections import PALETTE
from keras_dla.data import CocoSource, ShapesSource
from keras_dla.detection import detect

FOLDER = Path(__file__).parent
SCORE = 0.5
OVERLAP = 0.5  # from which on a detection counts as that object


def first_with_all_classes(source):
    """Returns the first example that has an object of every class."""
    every = set(range(len(source.class_names)))
    return next(source[i] for i in range(len(source)) if set(source[i]["classes"]) == every)


def best_found(source, model):
    """Returns the example with the fewest mistakes, and of those the one with the most objects."""
    examples = [source[index] for index in range(len(source))]
    found = detect(model, [example["image"] for example in examples], score=SCORE)
    ranks = [
        (mistakes(one, example), -len(example["classes"]))
        for one, example in zip(found, examples, strict=True)
    ]
    print("images without a mistake:", sum(wrong == 0 for wrong, _ in ranks), "of", len(ranks))
    return examples[min(range(len(ranks)), key=ranks.__getitem__)]


def mistakes(found, example):
    """Counts the objects that were not found, and the detections of what is not there."""
    if not len(found):
        return len(example["classes"])
    overlaps = np.asarray(compute_iou(example["boxes"], found.boxes, "xyxy"))
    same = (overlaps >= OVERLAP) & (example["classes"][:, None] == found.classes)
    return int((~same.any(1)).sum() + (same.sum(0) != 1).sum())


def draw(example, model, path):
    """Draws one image with frames in the colours of the classes, and a legend."""
    pixels = example["image"]
    [found] = detect(model, pixels, score=SCORE)
    detections = {"boxes": found.boxes, "scores": found.scores, "classes": found.classes}
    if found.masks is not None:
        detections["masks"] = [
            inside(mask, box) for mask, box in zip(found.masks, found.boxes, strict=True)
        ]
    figure = plot_detections(
        pixels[None],
        {name: np.asarray(values)[None] for name, values in detections.items()},
        class_names=model.class_names,
        targets={name: example[name][None] for name in ("boxes", "classes")},
        threshold=SCORE,
    )
    (axis,) = figure.axes
    for text in axis.texts:
        text.set(fontsize=9)
    lines = [
        Line2D([], [], color=PALETTE[number], linewidth=3, label=name)
        for number, name in enumerate(model.class_names)
    ]
    lines.append(Line2D([], [], color="grey", linestyle="--", label="annotated"))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.35)
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False)
    save(figure, path)


def save(figure, path):
    """Writes a figure with 200 colours, which makes the file of a photograph a third as large."""
    file = io.BytesIO()
    figure.savefig(file, dpi=130)
    Image.open(file).convert("RGB").quantize(200).save(path, optimize=True)


def inside(mask, box, side=56):
    """Returns what a mask is inside its box, in the size that plot_detections takes."""
    (height, width), (x1, y1, x2, y2) = mask.shape, box
    rows = np.clip(np.linspace(y1, y2, side), 0, height - 1).astype(int)
    columns = np.clip(np.linspace(x1, x2, side), 0, width - 1).astype(int)
    return mask[np.ix_(rows, columns)].astype("float32")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("boxes", "masks"))
    parser.add_argument("model", help="best.keras of a run")
    parser.add_argument("--annotations")
    parser.add_argument("--images")
    arguments = parser.parse_args()
    model = keras_dla.load_model(arguments.model, compile=False)
    if arguments.what == "boxes":
        source = CocoSource(arguments.annotations, arguments.images)
        draw(first_with_all_classes(source), model, FOLDER / "detections.png")
    else:
        draw(best_found(ShapesSource(200, 128, seed=1), model), model, FOLDER / "masks.png")


if __name__ == "__main__":
    main()
