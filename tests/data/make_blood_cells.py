"""Makes `keras_dla/data/blood_cells.npz` from the photographs of the BCCD data set.

    python tests/data/make_blood_cells.py --bccd DIR [--out FILE]

`DIR` holds the BCCD data set (https://github.com/Shenggan/BCCD_Dataset, MIT licence, copyright
2017 shenggan) with its boxes in COCO's JSON: `images/*.jpg`, `train.json`, `val.json` and
`test.json`. Needs Pillow.

Each image is the square around one annotated cell, a fifth wider than its box, reduced to
32 x 32 pixels. Training images come from the photographs of train.json and val.json, test
images from those of test.json, equally many of each class. Which cells are taken, and their
order, follows from a hash of the photograph's name and the box, so the result is the same on
any machine, up to the JPEG decoder's rounding (the file was made with Pillow 13.0.0, NumPy 2.4.6).
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "keras_dla" / "data" / "blood_cells.npz"

CLASSES = ("RBC", "WBC", "Platelets")
SIZE = 32
CONTEXT = 1.2
SPLITS = {"train": ("train.json", "val.json"), "test": ("test.json",)}
CELLS_PER_CLASS = {"train": 280, "test": 66}

# Shortest and longest side of a box in pixels, by class: outside lie cut-off cells and slips of
# the annotators.
SIDES = {"RBC": (60, 150), "WBC": (80, 340), "Platelets": (20, 80)}


def read_cells(path):
    """The cells of one COCO file: (file name, class name, box as x, y, width, height)."""
    coco = json.loads(path.read_text())
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    names = {category["id"]: category["name"] for category in coco["categories"]}
    return [
        (files[cell["image_id"]], names[cell["category_id"]], tuple(cell["bbox"]))
        for cell in coco["annotations"]
    ]


def rank(cell):
    """A fixed pseudo-random place in the order of all cells."""
    return hashlib.sha256(repr(cell).encode()).hexdigest()


def is_whole(cell):
    _, name, (_, _, width, height) = cell
    shortest, longest = SIDES[name]
    return shortest <= min(width, height) and max(width, height) <= longest


def square_around(box, image_size):
    """The square (left, top, right, bottom) around a box, moved inside the image."""
    x, y, width, height = box
    side = min(CONTEXT * max(width, height), *image_size)
    left, top = (
        min(max(start + (length - side) / 2, 0), limit - side)
        for start, length, limit in zip((x, y), (width, height), image_size, strict=True)
    )
    return left, top, left + side, top + side


def overlaps(square, box):
    x, y, width, height = box
    left, top, right, bottom = square
    return x < right and left < x + width and y < bottom and top < y + height


def choose(cells, count):
    """Chooses `count` cells of each class, in the order of their ranks."""
    white = {}
    for file, name, box in cells:
        if name == "WBC":
            white.setdefault(file, []).append(box)

    def is_clear(cell):
        # A large white cell in the corner would make the image of a red one ambiguous.
        file, name, box = cell
        square = square_around(box, (640, 480))
        return name != "RBC" or not any(overlaps(square, other) for other in white.get(file, []))

    ranked = sorted((cell for cell in set(cells) if is_whole(cell) and is_clear(cell)), key=rank)
    chosen = []
    for name in CLASSES:
        of_class = [cell for cell in ranked if cell[1] == name][:count]
        if len(of_class) < count:
            raise SystemExit(f"{count} cells of class {name} wanted, {len(of_class)} found")
        chosen += of_class
    return sorted(chosen, key=rank)


def cut_out(cell, image_folder):
    file, _, box = cell
    with Image.open(image_folder / file) as photograph:
        image = photograph.convert("RGB").resize(
            (SIZE, SIZE), Image.Resampling.LANCZOS, square_around(box, photograph.size)
        )
    return np.asarray(image)


def make(bccd):
    """The four arrays of the file, by name."""
    arrays = {}
    for split, files in SPLITS.items():
        cells = [cell for file in files for cell in read_cells(bccd / file)]
        chosen = choose(cells, CELLS_PER_CLASS[split])
        arrays[f"x_{split}"] = np.stack([cut_out(cell, bccd / "images") for cell in chosen])
        arrays[f"y_{split}"] = np.array([CLASSES.index(name) for _, name, _ in chosen], "uint8")
    return arrays


def main():
    parser = argparse.ArgumentParser(description="Makes blood_cells.npz from the BCCD data set.")
    parser.add_argument("--bccd", type=Path, required=True, help="folder of the BCCD data set")
    parser.add_argument("--out", type=Path, default=OUT, help="the file to write")
    arguments = parser.parse_args()
    np.savez_compressed(arguments.out, **make(arguments.bccd))


if __name__ == "__main__":
    main()
