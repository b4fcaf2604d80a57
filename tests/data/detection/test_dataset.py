import keras
import numpy as np
import pytest

from keras_dla.data import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CocoSource,
    DetectionDataset,
    ShapesSource,
    common_padded_shape,
)
from tests.data.coco_folder import content, write
from tests.data.shared import shared_path

SOURCE = ShapesSource(11, (64, 96), shape_sizes=(16, 32))


def dataset_of(source=SOURCE, batch_size=4, **changed):
    arguments = {"shorter_side": 64, "data_format": "channels_last", "max_objects": 6}
    return DetectionDataset(source, batch_size, **(arguments | changed))


def plain(source=SOURCE, batch_size=4, **changed):
    return dataset_of(source, batch_size, **({"flip": 0, "shuffle": False} | changed))


def batches_of(dataset):
    dataset.on_epoch_begin()
    batches = [dataset[index] for index in range(len(dataset))]
    dataset.on_epoch_end()
    return batches


def assert_same(one, other):
    for batch, again in zip(one, other, strict=True):
        for part, part_again in zip(batch, again, strict=True):
            assert part.keys() == part_again.keys()
            for key, value in part.items():
                np.testing.assert_array_equal(value, part_again[key])


def test_a_plain_batch_is_the_normalised_images():
    x, y = plain(mask_size=28)[1]
    for place in range(4):
        example = SOURCE[4 + place]
        expected = (example["image"] / 255 - IMAGENET_MEAN) / IMAGENET_STD
        np.testing.assert_allclose(x["images"][place], expected, atol=1e-5)
        count = len(example["boxes"])
        np.testing.assert_array_equal(y["boxes"][place, :count], example["boxes"])
        np.testing.assert_array_equal(y["classes"][place, :count], example["classes"])
        assert np.all(y["classes"][place, count:] == -1)
    dtypes = {key: str(value.dtype) for part in (x, y) for key, value in part.items()}
    assert dtypes == {
        "images": "float32",
        "sizes": "int32",
        "boxes": "float32",
        "classes": "int32",
        "masks": "uint8",
    }


def test_all_batches_have_one_shape():
    for shape in (None, (64, 96), (96, 128)):
        for x, y in batches_of(dataset_of(padded_shape=shape, mask_size=14)):
            assert x["images"].shape == (4, *(shape or (64, 96)), 3)
            assert x["sizes"].tolist() == [[64, 96]] * 4
            assert y["boxes"].shape == (4, 6, 4)
            assert y["classes"].shape == (4, 6)
            assert y["masks"].shape == (4, 6, 14, 14)


def test_padding_is_zero_below_and_to_the_right():
    inside = plain()[0][0]["images"]
    padded = plain(padded_shape=(96, 128))[0][0]["images"]
    np.testing.assert_array_equal(padded[:, :64, :96], inside)
    assert not padded[:, 64:].any()
    assert not padded[:, :, 96:].any()


def test_channels_first_is_the_transpose():
    last = dataset_of(padded_shape=(96, 128))[1][0]["images"]
    first = dataset_of(padded_shape=(96, 128), data_format="channels_first")[1][0]["images"]
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))


def test_data_format_follows_keras():
    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        assert dataset_of(data_format=None)[0][0]["images"].shape == (4, 3, 64, 96)
    finally:
        keras.config.set_image_data_format(before)


@pytest.mark.parametrize("batch_size", [1, 4, 11, 25])
def test_an_epoch_has_every_image_and_the_last_batch_is_filled_up(batch_size):
    dataset = dataset_of(batch_size=batch_size)
    records = [dataset.records(index) for index in range(len(dataset))]
    assert sorted(record["image_id"] for batch in records for record in batch) == list(range(11))
    last = dataset[len(dataset) - 1][0]["images"]
    first = dataset[0][0]["images"]
    real = len(records[-1])
    assert len(last) == batch_size
    filling = np.concatenate([last[:real], first])[: batch_size - real] if real == 11 else first
    np.testing.assert_array_equal(last[real : real + 11], filling[: min(batch_size - real, 11)])


def test_epochs_are_shuffled_anew_and_flipped_anew():
    dataset = dataset_of(ShapesSource(60, (64, 64), shape_sizes=(16, 32)), 60)
    epochs = []
    for _ in range(3):
        epochs.append({record["image_id"]: record["flipped"] for record in dataset.records(0)})
        batches_of(dataset)
    assert dataset.epoch == 3
    orders = [list(epoch) for epoch in epochs]
    assert orders[0] != orders[1] != orders[2]
    for one, other in ((0, 1), (1, 2)):
        same = [epochs[one][image] == epochs[other][image] for image in range(60)]
        assert 0.2 < np.mean(same) < 0.8


def test_probability_of_flips():
    source = ShapesSource(400, (64, 64), shape_sizes=(16, 32))
    for probability in (0, 0.25, 1):
        dataset = dataset_of(source, 400, flip=probability)
        share = np.mean([record["flipped"] for record in dataset.records(0)])
        # A standard deviation of 2 %.
        assert share == probability or abs(share - probability) < 0.09 * (0 < probability < 1)


def test_a_flipped_image_has_flipped_boxes_and_masks():
    [(x, y)] = batches_of(plain(batch_size=11, mask_size=28))
    [(flipped_x, flipped_y)] = batches_of(plain(batch_size=11, mask_size=28, flip=1))
    np.testing.assert_array_equal(flipped_x["images"], x["images"][:, :, ::-1])
    np.testing.assert_array_equal(flipped_y["masks"], y["masks"][..., ::-1])
    np.testing.assert_array_equal(flipped_y["classes"], y["classes"])
    real = y["classes"] >= 0
    left, top, right, bottom = np.moveaxis(y["boxes"][real], -1, 0)
    expected = np.stack([96 - right, top, 96 - left, bottom], axis=-1)
    np.testing.assert_array_equal(flipped_y["boxes"][real], expected)
    assert not flipped_y["boxes"][~real].any()


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers):
    one, other = (dataset_of(batch_size=2, workers=count) for count in (0, workers))
    for _ in range(3):
        assert_same(batches_of(one), batches_of(other))
    # In whatever order they are asked for.
    indices = [5, 0, 0, 3, 1, 4]
    assert_same([one[index] for index in indices], [other[index] for index in indices])


def test_a_worker_reports_its_error():
    class Broken:
        def __len__(self):
            return 8

        def __getitem__(self, index):
            if index == 5:
                raise ValueError("image 5 is broken")
            return SOURCE[index]

    dataset = plain(Broken(), 2, workers=2)
    assert dataset[0][0]["images"].shape == (2, 64, 96, 3)
    with pytest.raises(ValueError, match="image 5 is broken"):
        dataset[2]


def test_batches_depend_on_seed_epoch_and_index_alone():
    one, again = dataset_of(), dataset_of()
    batches_of(one)
    second = batches_of(one)
    assert_same(second, batches_of(dataset_of(initial_epoch=1)))
    assert_same([again[2], again[0]], [dataset_of()[2], dataset_of()[0]])
    assert np.any(again[0][0]["images"] != dataset_of(seed=1)[0][0]["images"])


def test_an_epoch_that_is_broken_off_does_not_count():
    dataset = dataset_of()
    dataset.on_epoch_begin()
    dataset[0]
    dataset.on_epoch_end()
    assert dataset.epoch == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_fit_goes_on_to_the_next_epoch(workers):
    seen = []

    class Recorder(DetectionDataset):
        def __getitem__(self, index):
            seen.append((self.epoch, index))
            x, y = super().__getitem__(index)
            return x["images"], y["classes"].astype("float32")

    dataset = Recorder(SOURCE, 4, 64, max_objects=6, workers=workers)
    shape = dataset[0][0].shape[1:]
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(6)]
    )
    model.compile("sgd", "mse")
    seen.clear()
    model.fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert seen[-6:] == [(epoch, index) for epoch in range(2) for index in range(3)]
    assert dataset.epoch == 2


def test_records_map_boxes_back(tmp_path):
    pytest.importorskip("PIL")
    source = CocoSource(*write(tmp_path))
    dataset = dataset_of(source, 2, shorter_side=50, longer_side=120, flip=0.5)
    truth = {source[index]["image_id"]: source[index] for index in range(3)}
    count = 0
    for _ in range(8):
        for index in range(len(dataset)):
            x, y = dataset[index]
            records = dataset.records(index)
            for place, record in enumerate(records):
                example = truth[record["image_id"]]
                assert example["image"].shape[:2] == (record["height"], record["width"])
                scale_y, scale_x = record["scale"]
                np.testing.assert_allclose(
                    x["sizes"][place],
                    (record["height"] * scale_y, record["width"] * scale_x),
                    rtol=1e-12,
                )
                boxes = y["boxes"][place][y["classes"][place] >= 0].astype("float64")
                if record["flipped"]:
                    boxes[:, [0, 2]] = x["sizes"][place, 1] - boxes[:, [2, 0]]
                boxes /= (scale_x, scale_y, scale_x, scale_y)
                expected = {7: [[2, 2, 14, 12]], 3: [[0, 25, 3, 30]], 5: np.zeros((0, 4))}
                np.testing.assert_allclose(boxes, expected[record["image_id"]], atol=1e-4)
                count += 1
        batches_of(dataset)
    assert count == 3 * 8


def test_images_without_objects_are_all_padding(tmp_path):
    pytest.importorskip("PIL")
    source = CocoSource(*write(tmp_path, content() | {"annotations": []}))
    x, y = plain(source, 3)[0]
    assert x["images"].any()
    assert np.all(y["classes"] == -1)
    assert not y["boxes"].any()


def test_images_of_different_size_share_a_batch(tmp_path):
    pytest.importorskip("PIL")
    # 16 x 20, 30 x 10 and 8 x 8.
    dataset = plain(CocoSource(*write(tmp_path)), 3, shorter_side=64, longer_side=100)
    x, _ = dataset[0]
    assert x["sizes"].tolist() == [[64, 80], [100, 33], [64, 64]]
    assert x["images"].shape == (3, 128, 96, 3)
    # In a shape that the second would exceed, it is smaller.
    x, _ = plain(dataset.source, 3, shorter_side=64, padded_shape=(64, 96))[0]
    assert x["sizes"].tolist() == [[64, 80], [64, 21], [64, 64]]
    assert x["images"].shape == (3, 64, 96, 3)


def test_long_images_fill_their_common_shape():
    # As KITTI's 375 x 1242: the longer side ends before the shorter one is `shorter_side`.
    source = ShapesSource(2, (50, 160), shape_sizes=(16, 32))
    sides = {"shorter_side": 96, "longer_side": 160}
    shape = common_padded_shape(source, **sides)
    assert shape == (64, 160)
    x, _ = plain(source, 2, padded_shape=shape, **sides)[0]
    assert x["images"].shape == (2, 64, 160, 3)
    assert x["sizes"].tolist() == [[50, 160]] * 2


def test_the_common_shape_makes_no_image_smaller(tmp_path):
    source = CocoSource(*write(tmp_path))  # 16 x 20, 30 x 10 and 8 x 8
    (tmp_path / "images" / "a.png").unlink()  # only their sizes are asked for
    sides = {"shorter_side": 64, "longer_side": 100}
    assert common_padded_shape(source, **sides) == (128, 96)
    assert common_padded_shape(SOURCE, source, **sides) == (128, 96)
    assert common_padded_shape([SOURCE[0]], **sides) == (64, 96)  # without `info`
    with pytest.raises(ValueError, match="`longer_side` must be an integer of at least 64"):
        common_padded_shape(source, shorter_side=64, longer_side=63)
    with pytest.raises(ValueError, match="`source` must be a sequence of at least one"):
        common_padded_shape(source, [], **sides)


def test_a_source_of_ones_own_needs_examples_only():
    class Own:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            example = dict(SOURCE[index])
            del example["masks"]
            return example

    dataset = plain(Own(), 2)
    assert [record["image_id"] for index in range(2) for record in dataset.records(index)] == [
        0,
        1,
        2,
    ]
    assert_same([dataset[0]], [plain(batch_size=2)[0]])
    with pytest.raises(ValueError, match="`mask_size` must be None for a `source` without masks"):
        plain(Own(), mask_size=28)


def test_blood_cells():
    folder = shared_path("data", "bccd")
    pytest.importorskip("PIL")
    source = CocoSource(folder / "test.json", folder / "images")
    dataset = DetectionDataset(source, 4, 480, padded_shape=(480, 640), data_format="channels_last")
    x, y = dataset[0]
    assert x["images"].shape == (4, 480, 640, 3)
    assert y["boxes"].shape == (4, 100, 4)
    assert np.all((y["classes"] >= 0).sum(axis=1) > 0)
    # White blood cells are darker and bluer than what is around them, wherever they were flipped.
    for image, boxes, classes in zip(x["images"], y["boxes"], y["classes"], strict=True):
        for left, top, right, bottom in boxes[classes == 1].astype(int):
            assert image[top:bottom, left:right, 0].mean() < image[..., 0].mean()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source": []}, "`source` must be a sequence of at least one example.*list"),
        ({"source": 5}, "`source` must be a sequence of at least one example.*int"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"shorter_side": 0}, "`shorter_side` must be an integer of at least 1"),
        ({"longer_side": 50}, "`longer_side` must be an integer of at least 64"),
        ({"padded_shape": (100, 128)}, "`padded_shape` must be .*multiples of 32.*100, 128"),
        ({"padded_shape": (64,)}, "`padded_shape` must be a pair"),
        ({"padded_shape": 64}, "`padded_shape` must be a pair"),
        ({"padded_shape": (64.0, 64.0)}, "`padded_shape` must be a pair"),
        ({"padded_shape": (32, 32)}, "`padded_shape` must be at least `shorter_side` .64."),
        ({"flip": 1.5}, "`flip` must be a probability from 0 to 1, but is 1.5"),
        ({"flip": "half"}, "`flip` must be a probability"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"max_objects": 0}, "`max_objects` must be an integer of at least 1"),
        ({"mask_size": 0}, "`mask_size` must be an integer of at least 1"),
        ({"mean": (0.5,), "std": (0.5,)}, "`mean` and `std` must have 3 entries, but have 1"),
        ({"std": (1, 0, 1)}, "`std` must be positive"),
        ({"data_format": "NHWC"}, "`data_format` must be one of 'channels_last'"),
        ({"initial_epoch": -1}, "`initial_epoch` must be an integer of at least 0"),
        ({"workers": -1}, "`workers` must be an integer of at least 0"),
    ],
)
def test_bad_arguments_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        DetectionDataset(**({"source": SOURCE, "batch_size": 4, "shorter_side": 64} | changed))


@pytest.mark.parametrize("index", [-1, 3])
def test_a_batch_beyond_the_end_is_refused(index):
    for ask in (dataset_of().__getitem__, dataset_of().records):
        with pytest.raises(IndexError, match=f"from 0 to 2.*{index}"):
            ask(index)
