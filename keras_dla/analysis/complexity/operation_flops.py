"""The cost of one call of a layer or operation, in multiply-adds."""

import math

from keras import layers

from keras_dla.analysis.complexity.symbolic_run import Call, tensors
from keras_dla.layers.flops import entries

# Layers whose kernel's last axis is the number of entries per output position.
FORWARD = (layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense)
# Layers whose kernel's last axis is the number of entries per input position.
BACKWARD = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
# Layers with weights that touch every entry once.
FREE = (
    layers.BatchNormalization,
    layers.Embedding,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.PReLU,
)
# Keras's layers without weights that multiply tensors or have an arbitrary function.
OPEN_LAYERS = (layers.AdditiveAttention, layers.Attention, layers.Dot, layers.Lambda)
OPEN_OPERATIONS = (
    "Conv",
    "ConvTranspose",
    "DepthwiseConv",
    "Dot",
    "DotProductAttention",
    "Einsum",
    "Inner",
    "Outer",
    "SeparableConv",
    "Tensordot",
    "Vdot",
)


def operation_flops(call: Call) -> dict[str, int] | None:
    """Returns the multiply-adds of `call` per image by part, or `None` if they are unknown."""
    layer = call.operation
    if callable(getattr(layer, "flops", None)):
        # Keras adds these two itself, and no cost depends on them.
        own = {name: x for name, x in call.kwargs.items() if name not in ("training", "mask")}
        return dict(layer.flops(*call.args, **own))
    if _is_free(layer):
        return {}
    shapes = [tensor.shape for tensor in tensors((call.args, call.kwargs, call.outputs))]
    if any(None in shape for shape in shapes):
        return None
    return _by_kind(layer, call)


def _is_free(layer: object) -> bool:
    if not isinstance(layer, layers.Layer):
        return type(layer).__name__ not in ("Matmul", *OPEN_OPERATIONS)
    if isinstance(layer, FREE):
        return True
    own = type(layer).__module__.split(".")[0] == "keras"
    return own and not layer.weights and not isinstance(layer, OPEN_LAYERS)


def _by_kind(layer, call: Call) -> dict[str, int] | None:
    """Returns the cost from the weights: a kernel costs its entries each time it is applied."""
    (inputs, *_), (outputs, *_) = tensors((call.args, call.kwargs)), tensors(call.outputs)
    if isinstance(layer, SEPARABLE):
        sizes = [math.prod(k.shape) for k in (layer.depthwise_kernel, layer.pointwise_kernel)]
        places = entries(outputs) // layer.filters
        return {"depthwise": sizes[0] * places, "pointwise": sizes[1] * places}
    if isinstance(layer, DEPTHWISE):
        return {"kernel": math.prod(layer.kernel.shape[:-2]) * entries(outputs)}
    if isinstance(layer, BACKWARD):
        return {"kernel": math.prod(layer.kernel.shape[:-1]) * entries(inputs)}
    if isinstance(layer, FORWARD):
        return {"kernel": math.prod(layer.kernel.shape[:-1]) * entries(outputs)}
    if type(layer).__name__ == "Matmul" and not isinstance(layer, layers.Layer):
        return {"product": call.args[0].shape[-1] * entries(outputs)}
    return None
