"""A detector knows its classes by name and how its images were prepared, and keeps both."""

import keras
import numpy as np
import pytest

from keras_dla.data import DetectionDataset, ImagePreparation, ShapesSource
from keras_dla.detection import CocoEvaluation, FasterRCNN, evaluate_coco
from tests.backends import all_on_pytorch, on_pytorch, on_tensorflow_and_pytorch
from tests.detection.networks import SMALL, small_backbone

NAMES = ["circle", "square", "triangle"]


def source(names=NAMES, seed=0):
    """Shapes whose classes a data set numbers in the order of `names`."""
    shapes = ShapesSource(4, 64, seed=seed, max_shapes=2, shape_sizes=(20, 40))
    order = [NAMES.index(name) for name in names]
    shapes.class_names = list(names)
    get = type(shapes).__getitem__

    class Renumbered(ShapesSource):
        def __getitem__(self, index):
            example = get(self, index)
            classes = [order.index(int(number)) for number in example["classes"]]
            return example | {"classes": np.array(classes, "int64")}

    shapes.__class__ = Renumbered
    return shapes


def dataset(names=NAMES, **options):
    options = {"shorter_side": 64, "padded_shape": (64, 64), **options}
    return DetectionDataset(source(names), 4, flip=0, shuffle=False, max_objects=4, **options)


class Oracle:
    """Finds what is there, and numbers the classes as NAMES do."""

    classes, class_names = 3, NAMES

    def __init__(self):
        self.known = dataset()

    def predict_on_batch(self, x):
        y = self.known[0][1]
        return {**y, "scores": np.where(y["classes"] >= 0, 0.9, 0).astype("float32")}


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], ["triangle", "circle", "square"]])
def test_evaluation_matches_classes_by_name(names):
    pytest.importorskip("pycocotools")
    figures = evaluate_coco(Oracle(), dataset(names), by_class=True)
    assert figures["AP"] == pytest.approx(1)
    assert {name for name in figures if name.startswith("AP of")} == {f"AP of {n}" for n in NAMES}


def test_evaluation_refuses_unknown_classes():
    with pytest.raises(ValueError, match=r"`dataset` must only have classes.*\['cell'\]"):
        other = dataset()
        other.source.class_names = ["circle", "square", "cell"]
        evaluate_coco(Oracle(), other)


def model(**options):
    return FasterRCNN(small_backbone(), **{**SMALL, "channels": 8, "head_units": 8, **options})


@on_pytorch
def test_fit_takes_names_and_preparation_and_saves_them(tmp_path):
    network = model()
    network.compile("sgd")
    training, validation = dataset(), dataset(NAMES[::-1])
    network.fit(training, validation_data=validation, shuffle=False, verbose=0)
    assert network.class_names == tuple(NAMES)
    assert network.preparation == ImagePreparation(64, 1333, padded_shape=(64, 64))
    # The validation's classes are numbered as the training's.
    np.testing.assert_array_equal(validation[0][1]["classes"], training[0][1]["classes"])
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.class_names, again.preparation) == (network.class_names, network.preparation)
    cells = dataset()
    cells.source.class_names = ["red", "white", "platelet"]
    for call in (
        lambda: again.fit(cells),
        lambda: again.evaluate(cells),
        lambda: again.fit(training, callbacks=[CocoEvaluation(cells)], verbose=0),
    ):
        with pytest.raises(ValueError, match=r"must only have classes of the detector.*red"):
            call()


@pytest.mark.parametrize(
    "names", ["abc", ["a", "b"], ["a", "b", "b"], ["a", "b", 3], ("a", "b", "c", "d")]
)
def test_other_names_are_one_sentence(names):
    with pytest.raises(ValueError, match="`class_names` must be 3 different names"):
        model(class_names=names)


def test_wrong_inputs_are_one_sentence():
    network = model()
    images = np.zeros((1, 64, 64, 3), "float32")
    for call in (network.predict, network.predict_on_batch, network):
        with pytest.raises(ValueError, match="must be a dictionary of 'images', 'sizes'"):
            call(images)
        with pytest.raises(ValueError, match="'sizes', but has 'images'"):
            call({"images": images})
    network.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"`loss` must be None.* but is 'mse'"):
        network.fit(dataset())
    network.compile("sgd")
    with pytest.raises(ValueError, match="`class_weight` must be None"):
        network.fit(dataset(), class_weight={0: 1.0})


WAYS = [lambda network, x: network.predict(x, verbose=0), FasterRCNN.predict_on_batch]


@on_tensorflow_and_pytorch
@pytest.mark.parametrize("predict", all_on_pytorch(WAYS, 1), ids=lambda way: way.__name__)
def test_images_of_different_sizes_one_after_another(predict):
    network = model(roi_window=8)
    for side in (64, 96):
        images = np.zeros((1, side, 64, 3), "float32")
        x = {"images": images, "sizes": np.array([[side, 64]], "int32")}
        assert predict(network, x)["boxes"].shape == (1, SMALL["max_detections"], 4)


def test_nan_weights_give_a_nan_loss_and_no_detections():
    network = model()
    network.compile("sgd", run_eagerly=keras.backend.backend() == "tensorflow")
    kernel = network.proposal_network.objectness.kernel
    kernel.assign(np.full(kernel.shape, np.nan, "float32"))
    x, y = dataset()[0]
    assert (network.predict_on_batch(x)["classes"] == -1).all()
    assert np.isnan(network.train_on_batch(x, y, return_dict=True)["loss"])


def test_summary(capsys):
    model().summary()
    assert "proposal_network" in capsys.readouterr().out
