"""The functional ResNet builder; it knows the protocols of interaction, not the interactions."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_dla.keras_internals.lean_model import LeanModel
from keras_dla.layers.block_attention.block_attention import BlockPlace
from keras_dla.layers.core.linear import dense
from keras_dla.layers.core.padding import ZeroPadding2D
from keras_dla.layers.core.pooling import GlobalAveragePooling2D
from keras_dla.layers.initializers import torch_uniform
from keras_dla.layers.interaction.layer_interaction import LayerInteraction
from keras_dla.layers.registry import find_interaction
from keras_dla.models.blocks import bottleneck, conv_bn
from keras_dla.models.stage import stage
from keras_dla.models.weights import load_weights_into
from keras_dla.ops.channels import channel_axis
from keras_dla.utils.names import IMAGENET_DEPTHS
from keras_dla.utils.validation import (
    FORMULATIONS,
    check_choice,
    check_positive_integer,
    check_rate,
    is_integer,
    standardize_data_format,
)

PLANES = {"cifar": (16, 32, 64), "imagenet": (64, 128, 256, 512)}


def ResNet(  # noqa: N802
    depth: "int | tuple[int, ...]",
    interaction: "str | keras.layers.Layer | None" = None,
    classes: int | None = None,
    stem: str = "cifar",
    formulation: str | None = None,
    unit: "str | keras.layers.Layer | Callable[[int], keras.layers.Layer] | None" = None,
    reduction: int | None = None,
    drop_path: float | None = None,
    input_shape: tuple | None = None,
    include_top: bool = True,
    pooling: str | None = None,
    classifier_activation: "str | None" = "softmax",
    weights: "str | os.PathLike | None" = None,
    data_format: str | None = None,
    planes: tuple[int, ...] | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a bottleneck ResNet whose blocks interact as `interaction` says.

    The CIFAR networks (`stem="cifar"`) have depth 9n + 2, three stages with 16, 32 and 64 planes
    and a 3x3 stem; the ImageNet networks have depth 50, 101 or 152, four stages and a 7x7 stem.

    Args:
        depth: integer or tuple of integers, the number of layers with weights in the plain
            network, or the number of blocks of every stage.
        interaction: string, layer or `None`, how the blocks interact; defaults to `None`, the plain
            ResNet. A string names a block attention, `"se"`, `"eca"`, `"cbam"`, `"a2"`, `"aa"`,
            `"gc"`, `"nl"` or `"ba"`; a layer interaction, `"rla_g"`, `"dianet"`, `"mrla_b"`,
            `"mrla_l"`, `"dla_b"` or `"dla_l"`; or one that `keras_dla.layers.register_interaction`
            added. A layer is a `keras_dla.layers.LayerInteraction`, copied for every stage with the
            stage's depth; a `keras_dla.layers.BlockAttention`, copied for the blocks it chooses; or
            any layer that keeps the shape of a feature map, copied for every block and applied to
            the residual branch.
        classes: integer, the number of classes; defaults to `None`, 100 for CIFAR and 1000 for
            ImageNet.
        stem: string, `"cifar"` or `"imagenet"`; defaults to `"cifar"`.
        formulation: string or `None`, `"official"` (the authors' network), `"paper"` (Eq. 1-9) or
            `"verbatim"` (their code including its batch-index slip), for `"rla_g"`, `"dianet"`,
            MRLA and DLA; defaults to `None`, `"official"`.
        unit: string, function or `None`, the recurrent unit of `"dianet"`, `"dla_b"` and `"dla_l"`
            (Tables 4 to 6): `"dsu"`, with another normaliser `"dsu_tanh"`, `"dsu_relu"` or
            `"dsu_identity"`; `"dia"`, `"lstm"`, `"rnn"`, or a function of the number of
            channels that returns a Keras RNN cell; defaults to `None`, the DIA unit for DIANet and
            the DSU for DLA.
        reduction: integer or `None`, r of the interaction's bottlenecks or recurrent unit; defaults
            to `None`, the authors': 16 for SE, CBAM, GC and BA, 4 for A2; for DIANet and DLA 4 in
            CIFAR networks, and 20 and 16 in ImageNet networks.
        drop_path: float or `None`, the probability of dropping an image's attention output in
            training, at least 0 and less than 1, for MRLA and DLA; defaults to `None`, 0.
        input_shape: tuple or `None`, without the batch axis, in the order of `data_format`; heights
            and widths may be `None`; defaults to `None`, images of any size with three channels.
        include_top: boolean, whether to end in global pooling and the classifier; defaults to
            `True`. Without it the output is the last feature map, and the model has
            `pyramid_outputs` and `pyramid_level_inputs`.
        pooling: string or `None`, `"avg"` or `"max"`, the global pooling of the last map with
            `include_top=False`; defaults to `None`, no pooling.
        classifier_activation: string or `None`, activation of the classifier, `None` for logits;
            defaults to `"softmax"`.
        weights: string, path or `None`, `"cifar100"` for the bundled trained weights (`keras-dla
            weights list`), a file written by `model.save_weights`, a checkpoint of the authors'
            code, or one of a plain ResNet (torchvision's or timm's names), whose outputs the
            network then starts from (`keras_dla.interop.load_checkpoint`); defaults to `None`, new
            weights.
        data_format: string or `None`, `"channels_last"` or `"channels_first"`; defaults to `None`,
            Keras's own.
        planes: tuple of integers or `None`, the channels of the 3x3 convolutions in every stage; a
            stage's maps have four times as many; defaults to `None`, the paper's.
        name: string or `None`, name of the model; defaults to `None`, `resnet_` and the depth.

    Returns:
        A functional `keras.Model` from normalised images `[batch, height, width, 3]` (or channels
        first) to `[batch, classes]`.

    Raises:
        ValueError: when an argument has a value that is not allowed, or `formulation`, `unit`,
            `reduction` or `drop_path` is given and the interaction would not use it.

    Reference:
        https://arxiv.org/abs/1512.03385 (ResNet), https://arxiv.org/abs/2406.13392 (DLA).

    Example:
    >>> import keras_dla
    >>> model = keras_dla.models.ResNet(11, "dla_l", classes=10)
    >>> model.output_shape
    (None, 10)
    """
    check_choice("stem", stem, tuple(PLANES))
    check_choice("pooling", pooling, (None, "avg", "max"))
    data_format = standardize_data_format(data_format)
    depths = stage_depths(depth, stem)
    planes = stage_planes(planes, stem)
    if len(planes) != len(depths):
        raise ValueError(
            f"`planes` must have an entry for each of the {len(depths)} stages, but is {planes}."
        )
    classes = {"cifar": 100, "imagenet": 1000}[stem] if classes is None else classes
    check_positive_integer("classes", classes)
    options = {
        "formulation": formulation,
        "unit": unit,
        "reduction": reduction,
        "drop_path": drop_path,
    }
    interaction = resolve_interaction(interaction, stem, data_format, options)

    images = keras.Input(resolve_input_shape(input_shape, data_format), name="images")
    x, levels, state = _features(images, depths, planes, stem, interaction, data_format)
    if isinstance(interaction, LayerInteraction) and (include_top or pooling):
        x = interaction.head_input(x, state)
    if include_top:
        x = GlobalAveragePooling2D(data_format=data_format, name="avg_pool")(x)
        x = _classifier(x, classes, classifier_activation)
    elif pooling is not None:
        pool = {"avg": GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}[pooling]
        x = pool(data_format=data_format, name=f"{pooling}_pool")(x)
    model = LeanModel(images, x, name=name or _default_name(depth))
    if not include_top:
        # KerasHub and KerasCV find the feature levels by one of these two each.
        model.pyramid_outputs = levels
        model.pyramid_level_inputs = {
            level: output_name(number) for number, level in enumerate(levels, start=1)
        }
    if weights is not None:
        load_weights_into(model, weights, interaction)
    return model


def _default_name(depth):
    return f"resnet_{depth}" if isinstance(depth, int) else f"resnet_{'_'.join(map(str, depth))}"


def _features(images, depths, planes, stem, interaction, data_format):
    """Returns the last map, all stages' maps by level (P2 has stride 4), and the last state."""
    x, level = _stem(images, stem, data_format)
    block = partial(
        _block, data_format=data_format, last_gamma="zeros" if stem == "imagenet" else "ones"
    )
    levels, state = {}, None
    for number, (depth, channels) in enumerate(zip(depths, planes, strict=True)):
        strides = 1 if number == 0 else 2
        places = [
            BlockPlace(number, len(depths), index, depth, channels, strides if index == 0 else 1)
            for index in range(depth)
        ]
        name = f"stage{number + 1}"
        x, state = stage(x, places, block, interaction, name, state)
        # A layer that is called only once, because KerasCV finds a level by the name of its layer.
        x = layers.Identity(name=output_name(number + 1))(x)
        levels[f"P{level + number}"] = x
    return x, levels, state


def output_name(stage: int) -> str:
    """Returns the name of the last layer of a stage; stages count from 1."""
    return f"stage{stage}_output"


def _stem(x, stem, data_format):
    """Returns the stem's output and its level: its stride is 2**level."""
    if stem == "cifar":
        x = conv_bn(x, 16, 3, 1, data_format, "stem", 1)
        return layers.ReLU(name="stem_relu")(x), 0
    x = conv_bn(x, 64, 7, 2, data_format, "stem", 1)
    x = layers.ReLU(name="stem_relu")(x)
    # Padding with zeros equals padding with minus infinity here: after a ReLU no entry is smaller.
    x = ZeroPadding2D(1, data_format=data_format, name="stem_pad")(x)
    return layers.MaxPooling2D(3, 2, data_format=data_format, name="stem_pool")(x), 2


def _block(x, branch_input, place, name, attention, data_format, last_gamma):
    planes, strides = place.planes, place.strides
    return bottleneck(x, branch_input, planes, strides, data_format, name, last_gamma, attention)


def _classifier(x, classes, activation):
    initializer = torch_uniform(x.shape[-1])
    return dense(
        classes,
        activation=activation,
        kernel_initializer=initializer,
        bias_initializer=initializer,
        dtype=_output_dtype(),
        name="classifier",
    )(x)


def _output_dtype():
    """Returns float32 in mixed precision, so that softmax and loss are computed in it."""
    policy = keras.config.dtype_policy()
    return policy.variable_dtype if policy.compute_dtype != policy.variable_dtype else policy


def stage_depths(depth: "int | tuple[int, ...]", stem: str) -> tuple[int, ...]:
    """Returns the number of blocks of every stage of a network of `depth` layers."""
    if isinstance(depth, (tuple, list)):
        return _positive_integers("depth", depth)
    if stem == "imagenet":
        check_choice("depth", depth, tuple(IMAGENET_DEPTHS))
        return IMAGENET_DEPTHS[depth]
    if not is_integer(depth) or depth < 11 or (depth - 2) % 9:
        raise ValueError(
            f"`depth` must be 9n + 2 (11, 20, 29, 56, 110, 164, ...) for `stem='cifar'`, "
            f"but is {depth!r}."
        )
    return ((int(depth) - 2) // 9,) * 3


def stage_planes(planes: "tuple[int, ...] | None", stem: str) -> tuple[int, ...]:
    """Returns `planes`, or the paper's if it is `None`."""
    return PLANES[stem] if planes is None else _positive_integers("planes", planes)


def _positive_integers(name, values):
    if not values:
        raise ValueError(f"`{name}` must have an entry for every stage, but is {values!r}.")
    for value in values:
        check_positive_integer(name, value)
    return tuple(values)


def resolve_interaction(
    interaction: "str | keras.layers.Layer | None",
    stem: str,
    data_format: str,
    options: Mapping[str, Any],
) -> keras.layers.Layer | None:
    """Returns the layer that `interaction` names, or `interaction` itself if it is a layer.

    Args:
        interaction: string, layer or `None`, as `ResNet` takes it.
        stem: string, `"cifar"` or `"imagenet"`.
        data_format: string, `"channels_last"` or `"channels_first"`.
        options: dictionary, `ResNet`'s arguments for the interaction; `None` means not given.

    Raises:
        ValueError: when there is no such interaction, or it would not use an option that was given.
    """
    _check_options(options)
    given = {name: value for name, value in options.items() if value is not None}
    if interaction is None or isinstance(interaction, keras.layers.Layer):
        who = "the plain ResNet" if interaction is None else "a layer with settings of its own"
        _refuse_unused(given, (), who)
        return interaction
    named = find_interaction(interaction)
    _refuse_unused(given, named.options, repr(interaction))
    return named.make(stem, data_format, given)


def _check_options(options):
    if options.get("formulation") is not None:
        check_choice("formulation", options["formulation"], FORMULATIONS)
    if options.get("reduction") is not None:
        check_positive_integer("reduction", options["reduction"])
    if options.get("drop_path") is not None:
        check_rate("drop_path", options["drop_path"])


def _refuse_unused(given, used, who):
    for name, value in given.items():
        if name not in used:
            uses = ", ".join(f"`{option}`" for option in used) or "none of its kind"
            raise ValueError(
                f"`{name}` must not be given for {who}, which would not use it (it uses {uses}), "
                f"but is {value!r}."
            )


def resolve_input_shape(input_shape: tuple | None, data_format: str) -> tuple:
    """Returns `input_shape`, or images of any size with three channels."""
    if input_shape is None:
        return (None, None, 3) if data_format == "channels_last" else (3, None, None)
    shape = tuple(input_shape)
    if (
        len(shape) != 3
        or shape[channel_axis(data_format) - (data_format != "channels_last")] is None
    ):
        raise ValueError(
            f"`input_shape` must have three entries with a known number of channels in "
            f"{data_format} order, but is {shape}."
        )
    return shape
