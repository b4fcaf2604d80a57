"""The interface of every source of images with objects, and its ground truth in COCO's format."""

import numpy as np

from keras_dla.data.detection.segmentation import encode_masks


class DetectionSource:
    """A sequence of images with objects, from which `DetectionDataset` makes batches.

    `source[index]` is an example, a dictionary of

    - `"image"`: uint8 `(height, width, 3)`;
    - `"image_id"`: int;
    - `"boxes"`: float32 `(objects, 4)`, (x1, y1, x2, y2) in pixels, x2 and y2 exclusive;
    - `"classes"`: int64 `(objects,)`, indices into `class_names`;
    - `"crowd"`: bool `(objects,)`, whether the entry stands for a crowd of objects;
    - `"masks"`: uint8 `(objects, height, width)` of 0 and 1, if the source has masks.

    Attributes:
        class_names: list of str.
        category_ids: list of int, COCO's id of each class.
    """

    class_names: list[str]
    category_ids: list[int]

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> dict:
        raise NotImplementedError

    def info(self, index: int) -> dict:
        """Returns the `"image_id"`, `"height"` and `"width"` of image `index`."""
        example = self[index]
        height, width, _ = example["image"].shape
        return {"image_id": example["image_id"], "height": height, "width": width}

    def annotations(self, index: int) -> list[dict]:
        """Returns the objects of image `index` in COCO's format, without ids."""
        return example_annotations(self[index], self.category_ids)

    def coco(self) -> dict:
        """Returns the ground truth in COCO's JSON format, for evaluation with pycocotools."""
        images = [self.info(index) for index in range(len(self))]
        annotations = [
            annotation | {"image_id": image["image_id"]}
            for index, image in enumerate(images)
            for annotation in self.annotations(index)
        ]
        categories = zip(self.category_ids, self.class_names, strict=True)
        return {
            "images": [
                {"id": image["image_id"], "height": image["height"], "width": image["width"]}
                for image in images
            ],
            # From 1 on, because pycocotools treats an object with id 0 as not found.
            "annotations": [
                annotation | {"id": number} for number, annotation in enumerate(annotations, 1)
            ],
            "categories": [{"id": id_, "name": name} for id_, name in categories],
        }

    def _check_index(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, but is {index}.")
        return int(index)


def example_annotations(example: dict, category_ids: list[int]) -> list[dict]:
    """Returns the objects of an example in COCO's format, without ids.

    Args:
        example: dictionary, as described by `DetectionSource`, with or without an image. It may
            have `"areas"` `(objects,)`; otherwise the area is that of the mask or, without masks,
            of the box.
        category_ids: list of int, COCO's id of each class.

    Returns:
        A list of dictionaries with `category_id`, `bbox`, `area`, `iscrowd` and, if the example has
        masks, `segmentation`.

    Example:
    >>> example = {
    ...     "boxes": np.array([[1.0, 2.0, 4.0, 6.0]]),
    ...     "classes": np.array([0]),
    ...     "crowd": np.array([False]),
    ... }
    >>> example_annotations(example, category_ids=[7])
    [{'category_id': 7, 'bbox': [1.0, 2.0, 3.0, 4.0], 'area': 12.0, 'iscrowd': 0}]
    """
    boxes = np.asarray(example["boxes"], dtype="float64")
    extents = boxes[:, 2:] - boxes[:, :2]
    masks = example.get("masks")
    areas = example.get("areas")
    if areas is None:
        areas = extents.prod(axis=1) if masks is None else masks.sum(axis=(1, 2))
    annotations = [
        {
            "category_id": category_ids[class_],
            "bbox": np.concatenate([box[:2], extent]).tolist(),
            "area": float(area),
            "iscrowd": int(crowd),
        }
        for class_, crowd, box, extent, area in zip(
            example["classes"], example["crowd"], boxes, extents, areas, strict=True
        )
    ]
    if masks is None:
        return annotations
    return [
        annotation | {"segmentation": segmentation}
        for annotation, segmentation in zip(annotations, encode_masks(masks), strict=True)
    ]
