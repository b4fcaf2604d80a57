import itertools
import re
import shutil

import keras
import numpy as np
import pytest

from keras_dla.data import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    imagenet_classes,
    imagenet_dataset,
    imagenet_steps_per_epoch,
)
from keras_dla.data.classification.prepared_folder import naming_damaged_batches
from keras_dla.data.classification.random_resized_crop import random_window
from tests.backends import all_on_pytorch, on_pytorch
from tests.data.image_folder import CLASSES, SIZES, encoded, made_image, prepare_images

SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("keras_cv")
    return prepare_images(tmp_path_factory.mktemp("tensorflow_datasets"))


def batches(count=None, **arguments):
    dataset = imagenet_dataset(
        **({"batch_size": 8, "image_size": SIZE, "data_format": "channels_last"} | arguments)
    )
    return [(x.numpy(), y.numpy()) for x, y in itertools.islice(dataset, count)]


def assert_same(one, other):
    for batch, other_batch in zip(one, other, strict=True):
        for part, other_part in zip(batch, other_batch, strict=True):
            np.testing.assert_array_equal(part, other_part)


def pixels(images):
    return images * (255 * np.array(IMAGENET_STD)) + 255 * np.array(IMAGENET_MEAN)


@on_pytorch
def test_the_test_split_is_torchvisions_resize_and_centre_crop(folder):
    """Within one grey level, as Pillow rounds between rows and columns as well."""
    expected = []
    for number in range(SIZES["validation"]):
        image = as_decoded(encoded(made_image(number)))
        width, height = image.size
        shorter = SIZE * 8 // 7
        side = min(width, height)
        image = image.resize((shorter * width // side, shorter * height // side), 2)
        left, top = (round((side - SIZE) / 2) for side in image.size)
        expected.append(np.asarray(image.crop((left, top, left + SIZE, top + SIZE))))
    images, labels = stored_order(batches(data_dir=folder, split="validation"))
    np.testing.assert_array_equal(labels, np.arange(SIZES["validation"]))
    difference = np.abs(pixels(images) - np.stack(expected))
    assert difference.max() < 1.01
    assert np.mean(difference > 0.5) < 0.2


def stored_order(parts):
    """The images by number, which tensorflow-datasets stores in another order."""
    images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(labels, kind="stable")
    return images[order], labels[order]


def as_decoded(file):
    """The image as TensorFlow decodes it: decoders of JPEG may differ by a grey level."""
    tf = pytest.importorskip("tensorflow")
    image = pytest.importorskip("PIL.Image")
    return image.fromarray(tf.io.decode_jpeg(file, channels=3).numpy())


@on_pytorch
def test_the_training_crop_is_pillows_of_the_same_window():
    tf = pytest.importorskip("tensorflow")
    from keras_dla.data.classification.imagenet import _random_crop

    for number in range(5):
        file = encoded(made_image(number))
        whole = as_decoded(file)
        seed = tf.constant([number, 3], "int64")
        image, _ = _random_crop(tf, SIZE)(file, seed)
        window_seed, _ = tf.unstack(tf.random.split(seed))
        window = random_window(tf, whole.size[1], whole.size[0], window_seed).numpy()
        top, left, height, width = window
        crop = whole.crop((left, top, left + width, top + height)).resize((SIZE, SIZE), 2)
        difference = np.abs(image.numpy().astype(int) - np.asarray(crop).astype(int))
        # Where a crop begins inside a block of the JPEG, its colour is interpolated otherwise.
        assert np.median(difference) <= 1
        assert difference.mean() < 2


def test_same_seed_same_batches_and_any_epoch_can_begin(folder):
    options = {"data_dir": folder, "seed": 3}
    whole = batches(9, **options)
    assert_same(batches(9, **options), whole)
    assert_same(batches(6, initial_epoch=1, **options), whole[3:])
    assert [len(labels) for _, labels in whole] == [8, 8, 5] * 3
    epochs = [whole[:3], whole[3:6], whole[6:]]
    for epoch in epochs:
        labels = np.concatenate([y for _, y in epoch])
        assert sorted(labels) == sorted(number % CLASSES for number in range(SIZES["train"]))
    assert np.any(whole[0][1] != whole[3][1])


@on_pytorch
def test_seeds_differ(folder):
    one, other = (batches(3, data_dir=folder, seed=seed) for seed in (0, 1))
    assert np.any(np.concatenate([y for _, y in one]) != np.concatenate([y for _, y in other]))


@on_pytorch
@pytest.mark.parametrize("global_seed", [0, 1])
def test_tensorflows_global_seed_has_no_say(folder, global_seed):
    tf = pytest.importorskip("tensorflow")
    expected = batches(6, data_dir=folder)
    try:
        tf.random.set_seed(global_seed)
        assert_same(batches(6, data_dir=folder), expected)
    finally:
        tf.random.set_seed(None)


@on_pytorch
def test_every_image_and_epoch_has_crops_and_flips_of_its_own(tmp_path):
    """All images of this set are one and the same, so that what differs is the augmentation."""
    pytest.importorskip("keras_cv")
    tf = pytest.importorskip("tensorflow")
    tfds = pytest.importorskip("tensorflow_datasets")
    ramp = np.tile(np.linspace(0, 255, 64).astype("uint8")[None, :, None], (64, 1, 3))
    same = tf.data.Dataset.from_tensors({"image": ramp, "label": 0}).repeat(40)
    tfds.dataset_builders.store_as_tfds_dataset(
        name="same",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(64, 64, 3)),
                "label": tfds.features.ClassLabel(num_classes=1),
            }
        ),
        split_datasets={"train": same},
        data_dir=tmp_path,
    )
    first, second = (x for x, _ in batches(2, data_dir=tmp_path, name="same", batch_size=40))
    for images in (first, second):
        assert len(np.unique(images, axis=0)) > 35
        mirrored = np.mean(images[:, 0, 0, 0] > images[:, 0, -1, 0])
        assert 0.2 < mirrored < 0.8
    assert np.any(first != second)


@on_pytorch
def test_png_images_and_other_names(tmp_path):
    pytest.importorskip("keras_cv")
    prepare_images(tmp_path, name="Drawings", sizes={"train": 5, "test": 3}, form="PNG")
    options = {"data_dir": tmp_path, "name": "drawings"}
    assert imagenet_classes(**options) == CLASSES
    (images, _), *_ = batches(1, **options)
    assert images.shape == (5, SIZE, SIZE, 3)
    (images, labels), *rest = batches(split="test", **options)
    assert len(images) == 3
    assert not rest
    sure, _ = stored_order([(images, labels)])
    mean = np.asarray(made_image(0)).mean()
    assert abs(pixels(sure[0]).mean() - mean) < 25


@pytest.mark.parametrize("split", ["train", "validation"])
def test_channels_first_is_the_transpose(folder, split):
    (last, labels), *_ = batches(1, data_dir=folder, split=split)
    (first, same), *_ = batches(1, data_dir=folder, split=split, data_format="channels_first")
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(labels, same)


@on_pytorch
def test_parts_and_remainders(folder):
    assert imagenet_steps_per_epoch("train", 8, folder) == 3
    assert imagenet_steps_per_epoch("train", 8, folder, drop_remainder=True) == 2
    assert imagenet_steps_per_epoch("train[:10]", 8, folder) == 2
    whole = batches(4, data_dir=folder, drop_remainder=True)
    assert [len(labels) for _, labels in whole] == [8] * 4
    part = batches(data_dir=folder, split="train[:10]", shuffle=False)
    assert [len(labels) for _, labels in part] == [8, 2]


@on_pytorch
def test_the_test_split_is_one_pass_and_can_be_read_again(folder):
    dataset = imagenet_dataset("validation", 3, folder, image_size=SIZE)
    assert int(dataset.cardinality()) == 3
    assert len(list(dataset)) == len(list(dataset)) == 3


def test_a_mixed_precision_policy_leaves_the_pixels_alone(folder):
    expected = batches(1, data_dir=folder)
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        assert_same(batches(1, data_dir=folder), expected)
    finally:
        keras.config.set_dtype_policy(before)


def test_fit_and_evaluate(folder):
    train = imagenet_dataset("train", 8, folder, image_size=SIZE)
    validation = imagenet_dataset("validation", 3, folder, image_size=SIZE)
    assert train.element_spec[1].dtype == "int32"
    shape = train.element_spec[0].shape[1:]
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(
        train, steps_per_epoch=3, epochs=2, shuffle=False, validation_data=validation, verbose=0
    )
    assert len(history.history["val_loss"]) == 2
    assert np.all(np.isfinite(history.history["loss"]))


def test_missing_data_says_how_to_prepare_it(tmp_path):
    for function in (imagenet_dataset, imagenet_steps_per_epoch, imagenet_classes):
        with pytest.raises(FileNotFoundError, match=r"tfds build imagenet2012 .*ILSVRC2012_img_tr"):
            function(data_dir=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"lacks it; prepare it with: tfds build food101"):
        imagenet_dataset(data_dir=tmp_path, name="food101")
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_without_labels_is_named(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    features = {"image": tfds.features.Image(encoding_format="jpeg")}
    prepare_images(tmp_path, name="Bare", sizes={"train": 2}, features=features)
    with pytest.raises(ValueError, match=r"`name` must be a data set with.*'bare' has 'im"):
        imagenet_dataset(data_dir=tmp_path, name="bare")


@on_pytorch
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "test"}, "`split` of imagenet2012 must be 'train' or 'validation'.*'test'"),
        ({"split": "train[:x]"}, r"`split` .*but is 'train\[:x\]'"),
        ({"batch_size": 0}, "`batch_size`.*at least 1.*0"),
        ({"image_size": 0}, "`image_size`.*at least 1.*0"),
        ({"seed": -1}, "`seed`.*at least 0.*-1"),
        ({"initial_epoch": 1.5}, "`initial_epoch`.*integer.*1.5"),
        ({"shuffle_buffer": 0}, "`shuffle_buffer`.*at least 1.*0"),
        ({"data_format": "first"}, "`data_format` must be.*'first'"),
        ({"name": "../cifar10"}, "`name` must be a data set of tensorflow-datasets.*cifar10"),
        ({"batch_size": 22, "drop_remainder": True}, "at most 21, the number of images.*22"),
    ],
)
def test_bad_arguments_are_named(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        imagenet_dataset(**({"data_dir": folder} | arguments))


def test_reading_writes_and_prints_nothing(folder, capfd):
    def snapshot():
        return sorted((str(p), p.stat().st_mtime_ns) for p in folder.rglob("*"))

    before = snapshot()
    batches(3, data_dir=folder)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "warn" not in printed.err.lower()
    assert snapshot() == before


@pytest.mark.parametrize("damage", all_on_pytorch(["flipped", "cut"], 1))
def test_a_damaged_file_is_named_in_a_plain_fit(folder, tmp_path, damage):
    copy = tmp_path / "data"
    shutil.copytree(folder, copy)
    (shard,) = copy.glob("imagenet2012/*/*-validation*")
    content = shard.read_bytes()
    middle = len(content) // 2
    rest = b"" if damage == "cut" else bytes([content[middle] ^ 255]) + content[middle + 1 :]
    shard.write_bytes(content[:middle] + rest)
    data = imagenet_dataset("validation", 2, copy, image_size=8)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    model.compile(loss="sparse_categorical_crossentropy", jit_compile=False)
    sentence = f"{shard} is damaged: prepare the data set again with tensorflow-datasets."
    said = pytest.raises(ValueError, match=f"^{re.escape(sentence)}$")
    with said as error, naming_damaged_batches():
        model.fit(data, shuffle=False, verbose=0)
    assert f"[{sentence}]" in str(error.value.__cause__)  # without the scripts and commands


@on_pytorch
def test_a_damaged_image_is_a_sentence():
    tf = pytest.importorskip("tensorflow")
    cut = encoded(made_image(0))[:60]
    image = tf.data.Dataset.from_tensors(cut).map(lambda one: tf.io.decode_jpeg(one, channels=3))
    sentence = r"^An image .* is damaged: prepare the data .* \(Invalid JPEG data.*\)\.$"
    with pytest.raises(ValueError, match=sentence), naming_damaged_batches():
        list(image)
    with pytest.raises(ZeroDivisionError), naming_damaged_batches():
        _ = 1 / 0
