"""Grad-CAM against gradients that are known by hand."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_dla.analysis import class_activation_maps
from keras_dla.analysis.class_scores import class_scores
from keras_dla.analysis.feature_maps import data_format_of, feature_map
from keras_dla.analysis.graph import cut
from keras_dla.models import ResNet
from tests.backends import on_pytorch

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 8, 6, 3)).astype("float32")
# From the three channels of an image to the four of its feature map, and from those to two classes.
MIX = RNG.normal(size=(3, 4)).astype("float32")
KERNEL = RNG.normal(size=(4, 2)).astype("float32")
CLASSES = np.array([1, 0, 1])


def feature_maps(images=IMAGES):
    """What `features` computes: means of 2 x 2 places, whose channels are mixed."""
    batch, height, width, channels = images.shape
    pooled = images.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))
    return pooled.astype("float64") @ MIX


def features(images, name="features"):
    pooled = layers.AveragePooling2D(2, data_format="channels_last")(images)
    return mixed(pooled, name)


def mixed(x, name):
    layer = layers.Conv2D(4, 1, use_bias=False, name=name, data_format="channels_last")
    outputs = layer(x)
    layer.set_weights([MIX[None, None]])
    return outputs


def average(x):
    return layers.GlobalAveragePooling2D(data_format="channels_last")(x)


def scored(x, activation=None):
    layer = layers.Dense(2, activation=activation)
    outputs = layer(x)
    layer.set_weights([KERNEL, np.array([0.5, -0.5], "float32")])
    return outputs


def classifier(head=lambda x: scored(average(x))):
    images = keras.Input((8, 6, 3))
    return keras.Model(images, head(features(images)))


def enlarged(maps, axis, times):
    """`times` the size along `axis`, linearly between the centres of the places."""
    last = maps.shape[axis] - 1
    places = np.clip((np.arange(times * (last + 1)) + 0.5) / times - 0.5, 0, last)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, last)
    share = (places - below).reshape([-1 if a == axis else 1 for a in range(maps.ndim)])
    return maps.take(below, axis) * (1 - share) + maps.take(above, axis) * share


def expected_maps(weights, maps=None, times=2):
    """The maps from the weight of each image's channels, `[batch, channels]`."""
    maps = feature_maps() if maps is None else maps
    maps = np.maximum((maps * weights[:, None, None]).sum(-1), 0)
    maps = enlarged(enlarged(maps, 1, times), 2, times)
    return maps / maps.max((1, 2), keepdims=True)


def assert_maps(actual, expected):
    assert actual.dtype == "float32"
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_behind_global_pooling_the_weights_are_those_of_the_class():
    maps = class_activation_maps(classifier(), IMAGES, CLASSES)
    assert maps.shape == (3, 8, 6)
    np.testing.assert_array_equal(maps.max((1, 2)), 1)
    assert_maps(maps, expected_maps(KERNEL.T[CLASSES]))


def test_a_slope_that_differs_from_place_to_place_is_averaged():
    model = classifier(lambda x: scored(average(ops.square(x))))
    slopes = 2 * feature_maps().mean((1, 2)) * KERNEL.T[CLASSES]
    maps = class_activation_maps(model, IMAGES, CLASSES, layer="features")
    assert_maps(maps, expected_maps(slopes))


@pytest.mark.parametrize(
    "head",
    [
        lambda x: scored(average(x), "softmax"),
        lambda x: scored(average(x), "sigmoid"),
        lambda x: layers.Softmax()(scored(average(x))),
        lambda x: layers.Activation("softmax")(scored(average(x))),
        lambda x: ops.softmax(scored(average(x))),
        lambda x: scored(layers.Dropout(0.9)(average(x)), "softmax"),
    ],
)
def test_the_score_is_the_one_before_the_activation(head):
    """At 1000 times the brightness the gradient of every softmax is zero."""
    maps = class_activation_maps(classifier(head), 1000 * IMAGES, CLASSES)
    assert_maps(maps, expected_maps(KERNEL.T[CLASSES]))


def test_another_last_layer_gives_the_scores_itself():
    model = classifier(lambda x: layers.Rescaling(-1.0)(scored(average(x), "softmax")))
    probabilities = 1 / (1 + np.exp(-(feature_maps().mean((1, 2)) @ KERNEL @ [1, -1] + 1)))
    # The slope of -p_c by a channel's mean, a multiple of the difference of the two columns.
    signs = np.where(CLASSES == 0, -1, 1) * probabilities * (1 - probabilities)
    slopes = signs[:, None] * (KERNEL[:, 0] - KERNEL[:, 1])
    assert_maps(class_activation_maps(model, IMAGES, CLASSES), expected_maps(slopes))


def test_the_predicted_class_is_the_default():
    model = classifier()
    images = IMAGES + np.array([-2, 0, 2], "float32")[:, None, None, None]
    predicted = model.predict(images, verbose=0).argmax(-1)
    assert set(predicted) == {0, 1}
    expected = class_activation_maps(model, images, predicted)
    np.testing.assert_array_equal(class_activation_maps(model, images), expected)


def test_one_class_for_all():
    expected = expected_maps(KERNEL.T[[1, 1, 1]])
    assert_maps(class_activation_maps(classifier(), IMAGES, 1), expected)


def test_batches():
    maps = class_activation_maps(classifier(), IMAGES, CLASSES, batch_size=2)
    assert_maps(maps, expected_maps(KERNEL.T[CLASSES]))


def test_nothing_speaks_for_the_class():
    images = np.broadcast_to(-MIX @ KERNEL[:, 0], (1, 8, 6, 3))
    np.testing.assert_array_equal(class_activation_maps(classifier(), images, 0), 0)
    assert class_activation_maps(classifier(), -images, 0).max() == 1


def test_a_path_around_the_map():
    """The other factor is a constant for the map, although it comes from the same images."""
    images = keras.Input((8, 6, 3))
    maps = features(images)
    other = features(layers.Rescaling(0.5, offset=1.0)(images), "other")
    model = keras.Model(images, scored(average(maps * other)))
    factor = feature_maps(0.5 * IMAGES + 1)
    weights = factor.mean((1, 2)) * KERNEL.T[CLASSES]
    for layer in ("features", model.get_layer("features")):
        assert_maps(class_activation_maps(model, IMAGES, CLASSES, layer), expected_maps(weights))


def test_of_a_layer_that_is_called_often_the_last_call_counts():
    images = keras.Input((8, 6, 3))
    twice = layers.Rescaling(2.0)
    model = keras.Model(images, scored(average(ops.square(twice(twice(features(images)))))))
    maps = class_activation_maps(model, IMAGES, CLASSES, layer=twice)
    assert_maps(maps, expected_maps(feature_maps().mean((1, 2)) * KERNEL.T[CLASSES]))


def test_pooling_that_keeps_its_axes_leaves_no_map():
    def head(x):
        pool = layers.GlobalAveragePooling2D(keepdims=True, data_format="channels_last")
        return scored(layers.Flatten(data_format="channels_last")(pool(x)))

    maps = class_activation_maps(classifier(head), IMAGES, CLASSES)
    assert_maps(maps, expected_maps(KERNEL.T[CLASSES]))


def test_a_sequential_model_that_flattens():
    model = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            layers.AveragePooling2D(2, data_format="channels_last"),
            layers.Conv2D(4, 1, use_bias=False, data_format="channels_last"),
            layers.Flatten(data_format="channels_last"),
            layers.Dense(2, activation="softmax"),
        ]
    )
    kernel = RNG.normal(size=(4 * 3 * 4, 2)).astype("float32")
    model.set_weights([MIX[None, None], kernel, np.zeros(2, "float32")])
    weights = kernel.reshape(4 * 3, 4, 2).mean(0).T[CLASSES]
    assert_maps(class_activation_maps(model, IMAGES, CLASSES), expected_maps(weights))


def test_channels_first():
    images = keras.Input((3, 8, 6))
    # A convolution and a pooling that TensorFlow cannot run on a CPU are left out.
    x = layers.Permute((2, 3, 1))(images)
    x = layers.Permute((3, 1, 2))(features(x))
    x = layers.UpSampling2D(1, data_format="channels_first", name="first")(x)
    pool = layers.GlobalAveragePooling2D(data_format="channels_first")
    model = keras.Model(images, scored(pool(x)))
    maps = class_activation_maps(model, IMAGES.transpose(0, 3, 1, 2), CLASSES)
    assert_maps(maps, expected_maps(KERNEL.T[CLASSES]))


def test_a_network_of_ours_which_stays_as_it_was():
    images = RNG.normal(size=(2, 16, 12, 3)).astype("float32")
    model = ResNet(11, "dla_l", classes=3, data_format="channels_last")
    weights = model.get_weights()
    maps = class_activation_maps(model, images)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    trunk = keras.Model(model.input, [model.get_layer("stage3_output").output, model.output])
    features, predicted = map(ops.convert_to_numpy, trunk(images, training=False))
    kernel = model.get_layer("classifier").get_weights()[0]
    expected = expected_maps(kernel.T[predicted.argmax(-1)], features, times=4)
    assert maps.shape == (2, 16, 12)
    np.testing.assert_allclose(maps, expected, atol=1e-5)


@on_pytorch
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", ["dla_l", "rla_g", "cbam", None])
def test_the_last_map_of_our_networks_and_its_format(name, data_format):
    model = ResNet(11, name, classes=3, data_format=data_format)
    maps = feature_map(model, None)
    assert maps is model.get_layer("avg_pool").input
    assert data_format_of(model, maps) == data_format


@on_pytorch
def test_a_cut_in_the_middle_of_a_stage_changes_no_score():
    images = RNG.normal(size=(2, 16, 12, 3)).astype("float32")
    model = ResNet(20, "dla_b", classes=3, classifier_activation=None)
    calls = [len(layer._inbound_nodes) for layer in model.layers]
    scores, finish = class_scores(model)
    before, after = cut(model, feature_map(model, "stage1_block2_bn2"), scores)
    values = before([images], training=False)
    assert len(values) > 1
    expected = ops.convert_to_numpy(model(images, training=False))
    np.testing.assert_allclose(ops.convert_to_numpy(finish(after(values))), expected, atol=1e-5)
    # And the map matters: without it the scores are others.
    values = [ops.zeros_like(values[0]), *values[1:]]
    assert np.abs(ops.convert_to_numpy(finish(after(values))) - expected).max() > 1e-3
    assert calls == [len(layer._inbound_nodes) for layer in model.layers]


def test_mixed_precision_and_frozen_weights():
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = classifier(lambda x: scored(average(x), "softmax"))
    finally:
        keras.config.set_dtype_policy(policy)
    model.trainable = False
    maps = class_activation_maps(model, IMAGES, CLASSES)
    assert maps.dtype == "float32"
    np.testing.assert_allclose(maps, expected_maps(KERNEL.T[CLASSES]), atol=0.03)


def check_refused(fragment, model=None, images=IMAGES, **kwargs):
    with pytest.raises(ValueError) as caught:
        class_activation_maps(model or classifier(), images, **kwargs)
    assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


@on_pytorch
@pytest.mark.parametrize("images", [IMAGES[0], IMAGES[:0]])
def test_images_that_are_no_batch(images):
    check_refused(f"but has shape {images.shape}", images=images)


@on_pytorch
@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2], [-1, 0, 0], 2, 0.5, [[0, 1, 0]], "cat"])
def test_classes_that_the_images_cannot_have(classes):
    check_refused(
        "`classes` must be 3 integers from 0 to 1, or a single one, but is", classes=classes
    )


def test_a_batch_size_that_is_none():
    check_refused("`batch_size` must be an integer of at least 1", batch_size=0)


@on_pytorch
@pytest.mark.parametrize("layer", ["absent", "dense", layers.ReLU(name="elsewhere")])
def test_layers_without_a_map_in_the_model(layer):
    model = classifier(lambda x: layers.Softmax(name="end")(scored(average(x))))
    check_refused("`layer` must be a layer of ", model, layer=layer)


@on_pytorch
def test_models_that_are_no_classifiers():
    inputs = keras.Input((4,))
    vectors = keras.Model(inputs, layers.Dense(2)(inputs))
    check_refused("`model` must be a functional or built sequential model", vectors)
    check_refused("but has inputs", classifier(lambda x: x))
    check_refused("has no graph of layers", keras.Sequential([layers.Dense(2)], name="unbuilt"))
    check_refused("but 'int' has no graph of layers", 3)


@on_pytorch
def test_a_model_without_a_map():
    images = keras.Input((8, 6, 3))
    model = keras.Model(images, layers.Dense(2)(average(images)))
    check_refused("`model` must have a feature map", model)


def test_a_map_inside_a_nested_model():
    inner = classifier(average)
    images = keras.Input((8, 6, 3))
    model = keras.Model(images, scored(inner(layers.Rescaling(2.0)(images))))
    check_refused("`model` must not have its feature maps inside a nested model", model)


@on_pytorch
def test_several_last_maps():
    images = keras.Input((8, 6, 3))
    both = [average(features(images, name)) for name in ("left", "right")]
    model = keras.Model(images, scored(layers.Add()(both)))
    check_refused("which has 2 last feature maps, but is None", model)
    maps = class_activation_maps(model, IMAGES, CLASSES, layer="left")
    assert_maps(maps, expected_maps(KERNEL.T[CLASSES]))
