"""Copies a data set in COCO's format with every photograph rotated, as phones store them.

    python benchmarks/turned_photographs.py bccd/test.json bccd/images turned
    keras-dla evaluate best.keras --annotations bccd/test.json --images bccd/images
    keras-dla evaluate best.keras --annotations turned/test.json --images turned/images

Each photograph is stored in one of the eight orientations of EXIF, which says how it is to be
shown. The annotations stay the same. The copies are lossless PNG files, so both evaluations must
print the same figures.
"""

import argparse
import json
from pathlib import Path

from PIL import Image

# What undoes each orientation of EXIF, in the names of Pillow.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
ORIENTATION = 0x0112


def turn(source: Path, target: Path, orientation: int) -> None:
    """Stores an image so that it looks the same when its orientation is minded."""
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    if STORED[orientation] is not None:
        image = image.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(target, exif=exif)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("annotations", type=Path, help="COCO-format JSON")
    parser.add_argument("images", type=Path, help="folder of the images")
    parser.add_argument("output", type=Path, help="folder of the copy")
    arguments = parser.parse_args()
    folder = arguments.output / "images"
    folder.mkdir(parents=True, exist_ok=True)
    content = json.loads(arguments.annotations.read_text(encoding="utf-8-sig"))
    for number, image in enumerate(content["images"]):
        name = Path(image["file_name"])
        image["file_name"] = name.with_suffix(".png").as_posix()
        target = folder / image["file_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        turn(arguments.images / name, target, number % len(STORED) + 1)
    annotations = arguments.output / arguments.annotations.name
    annotations.write_text(json.dumps(content), encoding="utf-8")
    print(f"{len(content['images'])} turned photographs in {arguments.output}")


if __name__ == "__main__":
    main()
