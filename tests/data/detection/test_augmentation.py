"""Images, boxes and masks change together, anew in every epoch and equally for a seed."""

import numpy as np
import pytest

from keras_dla.data import DetectionAugmentation, DetectionDataset, ShapesSource
from keras_dla.detection import evaluate_coco


def dataset(augmentation, seed=0, **options):
    source = ShapesSource(6, 64, max_shapes=3)
    options = {"shorter_side": 64, "padded_shape": (64, 64), "mask_size": 14, **options}
    return DetectionDataset(
        source,
        6,
        seed=seed,
        shuffle=False,
        augmentation=augmentation,
        data_format="channels_last",
        **options,
    )


ALL = DetectionAugmentation(scale=(0.6, 1.0), crop=0.6, jitter=0.3)


def test_cut_outs_move_boxes_and_masks():
    example = ShapesSource(1, 64, max_shapes=3, seed=3)[0]
    for seed in range(20):
        changed = DetectionAugmentation(crop=0.5)(example, np.random.default_rng(seed))
        height, width, _ = changed["image"].shape
        assert 32 <= height <= 64 and 32 <= width <= 64
        for box, mask in zip(changed["boxes"], changed["masks"], strict=True):
            rows, columns = np.nonzero(mask)
            assert mask.shape == (height, width)
            around = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            # What is cut off may leave less of an object than of its box.
            assert (np.array(around)[:2] >= box[:2]).all()
            assert (np.array(around)[2:] <= box[2:]).all()


def test_nothing_is_the_default():
    plain, same = dataset(None), dataset(DetectionAugmentation())
    for one, other in zip(plain[0], same[0], strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_batch_is_a_function_of_seed_and_epoch():
    first = dataset(ALL)
    x, y = first[0]
    again = dataset(ALL, workers=2)[0]
    np.testing.assert_array_equal(x["images"], again[0]["images"])
    np.testing.assert_array_equal(y["boxes"], again[1]["boxes"])
    assert len(set(map(tuple, x["sizes"].tolist()))) > 3
    for other in (dataset(ALL, seed=1), dataset(ALL, initial_epoch=1)):
        assert not np.array_equal(other[0][0]["sizes"], x["sizes"])


def test_colours_change_and_places_do_not():
    x, y = dataset(DetectionAugmentation(jitter=0.5))[0]
    plain_x, plain_y = dataset(None)[0]
    assert np.abs(x["images"] - plain_x["images"]).mean() > 0.05
    np.testing.assert_array_equal(y["boxes"], plain_y["boxes"])


def test_detections_are_not_mapped_back():
    pytest.importorskip("pycocotools")

    class Nothing:
        def predict_on_batch(self, x):
            none = np.full((6, 1), -1)
            return {"boxes": np.zeros((6, 1, 4)), "scores": none * 0.0, "classes": none}

    with pytest.raises(ValueError, match="`augmentation` must be None if"):
        evaluate_coco(Nothing(), dataset(ALL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (1.0, 0.5)}, "`scale` must be two positive numbers"),
        ({"scale": (0, 1)}, "`scale` must be"),
        ({"crop": 0}, "`crop` must be above 0"),
        ({"crop": 1.5}, "`crop` must be"),
        ({"jitter": -0.1}, "`jitter` must be from 0 to 1"),
    ],
)
def test_other_settings_are_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        DetectionAugmentation(**options)
