"""The quirks by name: how each is made, its verdict, and the words that a sentence about it has."""

import json

from tests.data.detection.quirks import (
    BOX_KINDS,
    REFUSED,
    RIGHT,
    TURNS,
    WARNED,
    change_all,
    deep,
    edited,
    in_mode,
    in_text,
    photographs,
    run_lengths,
    with_boxes,
    zoo,
)

QUIRKS: dict = {}


def quirk(name, make, verdict=RIGHT, words=""):
    assert name not in QUIRKS, name
    QUIRKS[name] = (make, verdict, words)


quirk("plain", zoo)
quirk("plain with masks", lambda: zoo(masks=True))

# Boxes of another kind, judged by polygons and by one another.
for kind, words in {
    "corners": "x1, y1, x2, y2",
    "centres": "centre x",
    "fractions": "fractions",
    "percent": "percent",
    "YOLO": "raction",
}.items():
    for polygons in (True, False):
        for seed in (0, 1, 2):
            quirk(
                f"{kind}, polygons {polygons}, {seed}",
                lambda k=kind, p=polygons, s=seed: with_boxes(k, p, seed=s),
                REFUSED,
                words,
            )
assert set(BOX_KINDS) >= {"corners", "centres"}

# EXIF orientation.
for turn in TURNS:
    quirk(f"EXIF {turn}, one image of four", lambda t=turn: photographs(t, only=[0]))
    sideways = turn >= 5
    verdict = RIGHT if turn == 1 or sideways else REFUSED
    quirk(f"EXIF {turn}, seen", lambda t=turn: photographs(t), verdict, "EXIF")
    quirk(f"EXIF {turn}, stored", lambda t=turn: photographs(t, stored=True), verdict, "EXIF")
    square = RIGHT if turn == 1 else REFUSED
    quirk(f"EXIF {turn}, square", lambda t=turn: photographs(t, square=True), square, "EXIF")
    quirk(f"EXIF {turn}, said seen", lambda t=turn: photographs(t, square=True, exif="seen"))
    quirk(
        f"EXIF {turn}, said stored",
        lambda t=turn: photographs(t, stored=True, square=True, exif="stored"),
    )
for turn in (2, 3, 4):
    del QUIRKS[f"EXIF {turn}, one image of four"]
for form in ("JPEG", "TIFF", "WEBP"):
    for turn in (3, 6, 8):
        quirk(
            f"EXIF {turn} {form}, seen", lambda t=turn, f=form: photographs(t, form=f, exif="seen")
        )
        quirk(
            f"EXIF {turn} {form}, stored",
            lambda t=turn, f=form: photographs(t, stored=True, form=f, exif="stored"),
        )

# Colour modes and depths.
for mode in ("RGBA", "P", "CMYK"):
    quirk(f"mode {mode}", lambda m=mode: in_mode(m, "TIFF" if m == "CMYK" else "PNG"))
for form in ("JPEG", "BMP", "TIFF", "WEBP", "PPM"):
    quirk(f"form {form}", lambda f=form: in_mode("RGB", f))
quirk("16 bits", lambda: deep(65535, "uint16"))
quirk("16 bits, PNG", lambda: deep(65535, "uint16", "PNG"))
quirk("16 bits in 32", lambda: deep(65535, "int32"))
quirk("fractions of white", lambda: deep(1, "float32"))
quirk("12 bits in 16, said", lambda: deep(4095, "uint16", tiffinfo={281: 4095}))
quirk("12 bits in 16", lambda: deep(4095, "uint16"), REFUSED, "16 bits")
quirk("8 bits in 16", lambda: deep(255, "uint16"), REFUSED, "16 bits")
quirk("8 bits in 32", lambda: deep(255, "int32"), REFUSED, "16 bits")
quirk("30 bits in 32", lambda: deep(2**30, "int32"), REFUSED, "16 bits")
quirk("floats to 255", lambda: deep(255, "float32"), REFUSED, "from 0 to 1")

# Run lengths and segmentations.
quirk("run lengths", run_lengths)
quirk("run lengths, compressed", lambda: run_lengths(compressed=True))
quirk("run lengths along rows", lambda: run_lengths("rows"), REFUSED, "along the rows")
quirk("run lengths along rows, compressed", lambda: run_lengths("rows", True), REFUSED, "along the")


def segmentations(value, count=None, masks=True):
    animal = zoo(masks=masks)
    for annotation in animal.content["annotations"][:count]:
        annotation["segmentation"] = value
    return animal


for label, value in {"empty": [], "null": None}.items():
    quirk(f"segmentation {label}", lambda v=value: segmentations(v), REFUSED, "no segmentation")
    quirk(f"segmentation {label}, two", lambda v=value: segmentations(v, 2), WARNED, "2 of 12 have")
    quirk(f"segmentation {label}, boxes", lambda v=value: segmentations(v, masks=False))
quirk("segmentation of two points", lambda: segmentations([[1, 2, 3, 4]]), REFUSED, "three points")
quirk("segmentation of text", lambda: segmentations("none"), REFUSED, "segmentation")

# Nothing left to learn.
quirk("all crowds", lambda: change_all(zoo(), "iscrowd", lambda a: 1), REFUSED, "crowds")
quirk(
    "all crowds, masks", lambda: change_all(zoo(masks=True), "iscrowd", lambda a: 1), REFUSED, "cro"
)
quirk("half crowds", lambda: change_all(zoo(), "iscrowd", lambda a: a["id"] % 2), WARNED, "6 of 12")
quirk("empty boxes", lambda: change_all(zoo(), "bbox", lambda a: [5, 5, 0, 0]), REFUSED, "a pixel")
quirk(
    "boxes outside", lambda: change_all(zoo(), "bbox", lambda a: [900, 900, 9, 9]), REFUSED, "pixel"
)
quirk(
    "some boxes outside",
    lambda: change_all(zoo(), "bbox", lambda a: [900, 9, 9, 9] if a["id"] < 4 else a["bbox"]),
    WARNED,
    "3 of 12",
)
for share in (0.3, 0.8):
    quirk(
        f"boxes under a pixel, {share}",
        lambda s=share: change_all(zoo(), "bbox", lambda a: [*a["bbox"][:2], s, s]),
        REFUSED,
        "",
    )

# Ids, names and JSON.
TEXTS = {
    "text": str,
    "decimal text": lambda n: f"{n}.0",
    "decimal": float,
}
for label, form in TEXTS.items():
    for where, key in (
        ("categories", "id"),
        ("images", "id"),
        ("images", "height"),
        ("images", "width"),
        ("annotations", "image_id"),
        ("annotations", "category_id"),
        ("annotations", "iscrowd"),
        ("annotations", "area"),
    ):
        quirk(
            f"{where} {key} as {label}",
            lambda w=where, k=key, f=form: change_all(zoo(), k, lambda e: f(e[k]), w),
        )
    quirk(
        f"bbox as {label}",
        lambda f=form: change_all(zoo(), "bbox", lambda a: [f(n) for n in a["bbox"]]),
    )
for key in ("iscrowd", "area", "segmentation"):
    quirk(f"{key} is null", lambda k=key: change_all(zoo(), k, lambda a: None))
quirk("bbox null", lambda: change_all(zoo(), "bbox", lambda a: None), REFUSED, "bbox None")
quirk("image_id null", lambda: change_all(zoo(), "image_id", lambda a: None), REFUSED, "image_id")
quirk(
    "image ids are names", lambda: change_all(zoo(), "id", lambda i: "a", "images"), REFUSED, "id"
)
quirk("iscrowd true", lambda: change_all(zoo(), "iscrowd", lambda a: False))
quirk("without iscrowd", lambda: edited(lambda c: [a.pop("iscrowd") for a in c["annotations"]]))
quirk("without area", lambda: edited(lambda c: [a.pop("area") for a in c["annotations"]]))
quirk("without ids", lambda: edited(lambda c: [a.pop("id") for a in c["annotations"]]))
quirk("ids of 0", lambda: change_all(zoo(), "id", lambda a: 0))
quirk("categories backwards", lambda: edited(lambda c: c["categories"].reverse()))
quirk("annotations backwards", lambda: edited(lambda c: c["annotations"].reverse()))
quirk("images backwards", lambda: edited(lambda c: c["images"].reverse()))


def renumber(content):
    for category in content["categories"]:
        category["id"] = 3 - category["id"]
    for annotation in content["annotations"]:
        annotation["category_id"] = 3 - annotation["category_id"]


quirk("categories swapped", lambda: edited(renumber))
quirk(
    "a category unused",
    lambda: edited(lambda c: c["categories"].append({"id": 0, "name": "objects"})),
)
quirk(
    "a name twice",
    lambda: edited(lambda c: c["categories"].append({"id": 7, "name": "red"})),
    WARNED,
    "several categories named 'red'",
)
quirk("no categories", lambda: edited(lambda c: c["categories"].clear()), REFUSED, "no categories")
quirk("no images", lambda: edited(lambda c: c["images"].clear()), REFUSED, "no images")
quirk("names in Japanese", lambda: edited(lambda c: c["categories"][0].update(name="\u8d64")))
quirk("BOM", lambda: in_text(lambda c: b"\xef\xbb\xbf" + json.dumps(c).encode()))
quirk("indented", lambda: in_text(lambda c: json.dumps(c, indent=2).encode()))
quirk("UTF-16", lambda: in_text(lambda c: json.dumps(c).encode("utf-16")), REFUSED, "JSON")
quirk("JSON cut off", lambda: in_text(lambda c: json.dumps(c).encode()[:-5]), REFUSED, "JSON")
quirk("a list", lambda: in_text(lambda c: json.dumps([c]).encode()), REFUSED, "dictionary")
quirk("more keys", lambda: edited(lambda c: c.update(info={}, licenses=[], extra=None)))


def sizes_swapped(content):
    for image in content["images"]:
        image["height"], image["width"] = image["width"], image["height"]


quirk("height and width swapped", lambda: edited(sizes_swapped), REFUSED, "height and width")
quirk("size halved", lambda: change_all(zoo(), "height", lambda i: 120, "images"), REFUSED, "")
for label, shift in {"a third of a pixel": 0.3, "half a pixel": 0.5}.items():
    quirk(
        f"boxes off by {label}",
        lambda s=shift: change_all(
            zoo(), "bbox", lambda a: [a["bbox"][0] + s, a["bbox"][1] - s, *a["bbox"][2:]]
        ),
    )
