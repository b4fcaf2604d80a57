"""Images with objects from a folder of XML files in Pascal VOC's format."""

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from keras_dla.data.detection.coco_annotations import check_coco
from keras_dla.data.detection.coco_source import CocoSource


class VocSource(CocoSource):
    """Images in a folder, with the objects listed in Pascal VOC's XML files, one per image.

    An example is as in `CocoSource`; there are no masks. VOC counts pixels from 1, and the last row
    and column belong to a box: `xmin` 1 and `xmax` 10 are the first ten columns. Difficult objects
    count as crowds: they are neither learned nor missed in evaluation.

    Args:
        annotations: path of the folder of XML files, which are read in the order of their names.
        images: path of the folder with the images; defaults to None, the folder `JPEGImages` beside
            `annotations` if it exists, or `annotations` itself.
        class_names: sequence of str, the classes in the order of their numbers; defaults to None,
            those of the files in alphabetical order.
        keep_empty: bool, whether to keep images without an object; defaults to True.
        exif: `"seen"` or `"stored"`, as in `CocoSource`; defaults to None.

    Raises:
        FileNotFoundError: when a folder or an image is missing, or there is no XML file.
        ValueError: when a file is not in VOC's format, has a class that is not among `class_names`,
            or all files together leave nothing to learn.

    Source:
        http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html

    Example:
    >>> import pathlib, tempfile
    >>> from keras_dla.data import VocSource
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name)
    >>> _ = (place / "one.ppm").write_bytes(b"P6 2 1 255 " + bytes(6))
    >>> size = "<size><width>2</width><height>1</height></size>"
    >>> box = "<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>2</xmax><ymax>1</ymax></bndbox>"
    >>> content = f"<object><name>cell</name>{box}</object>"
    >>> text = f"<annotation><filename>one.ppm</filename>{size}{content}</annotation>"
    >>> _ = (place / "one.xml").write_text(text)
    >>> source = VocSource(place)
    >>> source.class_names, source[0]["boxes"].tolist()
    (['cell'], [[1.0, 0.0, 2.0, 1.0]])
    >>> folder.cleanup()
    """

    def __init__(
        self,
        annotations: str | os.PathLike,
        images: str | os.PathLike | None = None,
        class_names: Sequence[str] | None = None,
        keep_empty: bool = True,
        exif: str | None = None,
    ):
        self._names = class_names
        if images is None:
            beside = Path(annotations).parent / "JPEGImages"
            images = beside if beside.is_dir() else annotations
        super().__init__(annotations, images, keep_empty=keep_empty, exif=exif)

    def _read(self, annotations):
        folder = Path(annotations)
        paths = sorted(folder.glob("*.xml")) if folder.is_dir() else []
        if not paths:
            raise FileNotFoundError(
                f"`annotations` must be a folder of XML files, but is {str(annotations)!r}."
            )
        content = _as_coco([_read_file(path) for path in paths], self._names)
        return check_coco(content, f"the folder {str(folder)!r}", masks=False)


def _read_file(path):
    """Returns the name and size of an image, and its objects."""
    text = path.read_bytes()
    # An entity in a DOCTYPE may expand to gigabytes of text.
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError(f"`annotations` must have plain XML, but {str(path)!r} has a DOCTYPE.")
    try:
        root = ElementTree.fromstring(text)
        size = [_number(root, f"size/{side}") for side in ("height", "width")]
        objects = [_read_object(entry) for entry in root.findall("object")]
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(
            f"`annotations` must have XML files in Pascal VOC's format, but {str(path)!r} has "
            f"{error}"
        ) from error
    name = root.findtext("filename") or f"{path.stem}.jpg"
    # Some tools write a path of another machine before the name.
    return name.replace("\\", "/").split("/")[-1], size, objects


def _read_object(entry):
    name = (entry.findtext("name") or "").strip()
    if not name:
        raise ValueError("an object without a name")
    left, top, right, bottom = (
        _number(entry, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")
    )
    box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
    return name, box, (entry.findtext("difficult") or "0").strip() == "1"


def _number(entry, path):
    try:
        return float(entry.findtext(path))
    except (TypeError, ValueError):
        raise ValueError(f"a {path} that is not a number ({entry.findtext(path)!r})") from None


def _as_coco(files, class_names):
    found = {name for *_, objects in files for name, _, _ in objects}
    names = sorted(found) if class_names is None else list(class_names)
    missing = sorted(found - set(names))
    if missing:
        raise ValueError(f"`class_names` must have every class of the files, but lacks {missing}.")
    ids = {name: number for number, name in enumerate(names, start=1)}
    return {
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "images": [
            {"id": number, "file_name": name, "height": size[0], "width": size[1]}
            for number, (name, size, _) in enumerate(files)
        ],
        "annotations": [
            {"image_id": number, "category_id": ids[name], "bbox": box, "iscrowd": int(difficult)}
            for number, (*_, objects) in enumerate(files)
            for name, box, difficult in objects
        ],
    }
