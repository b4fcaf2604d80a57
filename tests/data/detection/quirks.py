"""A generated zoo of what people's annotations and photographs are like, each with its verdict."""

import copy
import io
import json
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from keras_dla.data.detection.source import encode_masks

HEIGHT, WIDTH = 240, 320
SQUARE = 240
COLOURS = {1: (220, 40, 40), 2: (40, 60, 220)}
NAMES = {1: "red", 2: "blue"}
IMAGES, OBJECTS = 4, 3
RIGHT, WARNED, REFUSED = "right", "warned", "refused"


@dataclass
class Zoo:
    """Images with rectangles of one colour for each class, and their annotations.

    Args:
        pixels: the upright images by file name.
        content: the annotations, as COCO has them.
        files: contents of files that are not plain images, by name.
        options: further arguments of `CocoSource`.
        text: the annotations' bytes, where they are not what `json.dumps` writes.
    """

    pixels: dict
    content: dict
    files: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    text: bytes | None = None

    def write(self, folder):
        """Writes all files; returns the arguments of `CocoSource`."""
        (folder / "images").mkdir()
        for name, pixels in self.pixels.items():
            path = folder / "images" / name
            path.parent.mkdir(exist_ok=True, parents=True)
            if name in self.files:
                path.write_bytes(self.files[name])
            else:
                # Whatever its name says; this form takes the least time.
                Image.fromarray(pixels).save(path, "BMP")
        text = json.dumps(self.content).encode() if self.text is None else self.text
        (folder / "annotations.json").write_bytes(text)
        files = {"annotations": folder / "annotations.json", "images": folder / "images"}
        return files | self.options


def zoo(height=HEIGHT, width=WIDTH, seed=0, masks=False):
    """Returns a plain zoo: nothing about it is odd."""
    random = np.random.default_rng(seed)
    pixels, images, annotations = {}, [], []
    for image_id in range(1, IMAGES + 1):
        canvas = random.integers(90, 130, (height, width, 3)).astype("uint8")
        for place in range(OBJECTS):
            # One object in each third of the width, so that none hides another.
            third = width // OBJECTS
            w, h = int(random.integers(20, third - 6)), int(random.integers(20, height // 2))
            x = place * third + int(random.integers(1, third - w - 1))
            y = int(random.integers(1, height - h - 1))
            category = int(random.integers(1, 3))
            canvas[y : y + h, x : x + w] = COLOURS[category]
            corners = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                    "segmentation": [corners],
                }
            )
        name = f"{image_id}.png"
        pixels[name] = canvas
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
    categories = [{"id": number, "name": name} for number, name in NAMES.items()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return Zoo(pixels, content, options={"masks": masks})


def without_polygons(animal):
    for annotation in animal.content["annotations"]:
        del annotation["segmentation"]
    return animal


def change_all(animal, key, change, where="annotations"):
    """Changes a key of every entry; `change` gets the entry."""
    for entry in animal.content[where]:
        entry[key] = change(entry)
    return animal


def size_of(animal, annotation):
    [image] = [i for i in animal.content["images"] if i["id"] == annotation["image_id"]]
    return image["width"], image["height"]


BOX_KINDS = {
    "corners": lambda b, w, h: [b[0], b[1], b[0] + b[2], b[1] + b[3]],
    "centres": lambda b, w, h: [b[0] + b[2] / 2, b[1] + b[3] / 2, b[2], b[3]],
    "fractions": lambda b, w, h: [b[0] / w, b[1] / h, b[2] / w, b[3] / h],
    "percent": lambda b, w, h: [100 * b[0] / w, 100 * b[1] / h, 100 * b[2] / w, 100 * b[3] / h],
    "YOLO": lambda b, w, h: [(b[0] + b[2] / 2) / w, (b[1] + b[3] / 2) / h, b[2] / w, b[3] / h],
}


def with_boxes(kind, polygons, **options):
    animal = zoo(**options)
    read = BOX_KINDS[kind]
    change_all(animal, "bbox", lambda a: read(a["bbox"], *size_of(animal, a)))
    return animal if polygons else without_polygons(animal)


# What is stored for what is seen, by EXIF orientation.
TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x.swapaxes(0, 1)[::-1],
    7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
    8: lambda x: x.swapaxes(0, 1)[:, ::-1],
}


def as_photograph(pixels, orientation, form="PNG"):
    image = Image.fromarray(np.ascontiguousarray(TURNS[orientation](pixels)))
    exif = image.getexif()
    exif[274] = orientation
    file = io.BytesIO()
    image.save(file, form, exif=exif, **({"quality": 95} if form == "JPEG" else {}))
    return file.getvalue()


def photographs(orientation, stored=False, square=False, form="PNG", only=None, **options):
    """A zoo of turned photographs whose boxes refer to what is seen, or to what is stored."""
    animal = zoo(SQUARE, SQUARE) if square else zoo()
    animal.options |= options
    for number, (name, pixels) in enumerate(animal.pixels.items()):
        if only is None or number in only:
            animal.files[name] = as_photograph(pixels, orientation, form)
    return restored(animal, orientation) if stored else animal


def restored(animal, orientation):
    """Annotates what is stored, as Label Studio does."""
    for image in animal.content["images"]:
        pixels = animal.pixels[image["file_name"]]
        for annotation in animal.content["annotations"]:
            if annotation["image_id"] == image["id"]:
                x, y, w, h = annotation["bbox"]
                mask = np.zeros(pixels.shape[:2], bool)
                mask[y : y + h, x : x + w] = True
                rows, columns = np.nonzero(TURNS[orientation](mask))
                x, y = int(columns.min()), int(rows.min())
                w, h = int(columns.max()) + 1 - x, int(rows.max()) + 1 - y
                annotation["bbox"] = [x, y, w, h]
                del annotation["segmentation"]
        if orientation >= 5:
            image["height"], image["width"] = pixels.shape[1], pixels.shape[0]
    return animal


def in_mode(mode, form="PNG"):
    """A zoo whose first image has another colour mode."""
    animal = zoo()
    pixels = animal.pixels["1.png"]
    image = Image.fromarray(pixels)
    if mode == "P":
        image = image.quantize(64)
    file = io.BytesIO()
    image.convert(mode).save(file, form)
    animal.files["1.png"] = file.getvalue()
    return animal


def deep(scale, dtype, form="TIFF", **options):
    """A zoo whose images are grey with more than 8 bits."""
    animal = zoo()
    for name, pixels in animal.pixels.items():
        file = io.BytesIO()
        grey = pixels.astype("float64").mean(-1) / 255 * scale
        Image.fromarray(grey.astype(dtype)).save(file, form, **options)
        animal.files[name] = file.getvalue()
    return animal


def run_lengths(order="columns", compressed=False):
    animal = zoo(masks=True)
    for annotation in animal.content["annotations"]:
        x, y, w, h = annotation["bbox"]
        mask = np.zeros((HEIGHT, WIDTH), "uint8")
        mask[y : y + h, x : x + w] = 1
        if order == "rows":
            [code] = encode_masks(mask.T[None])
            code["size"] = [HEIGHT, WIDTH]
        else:
            [code] = encode_masks(mask[None])
        if compressed:
            from pycocotools import mask as codec

            packed = codec.frPyObjects(code, HEIGHT, WIDTH)
            code["counts"] = packed["counts"].decode()
        annotation["segmentation"] = code
    return animal


def edited(edit, **options):
    animal = zoo(**options)
    edit(animal.content)
    return animal


def in_text(write):
    animal = zoo()
    animal.text = write(copy.deepcopy(animal.content))
    return animal
