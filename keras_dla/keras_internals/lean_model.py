"""A functional model that lets go of every feature map after its last use, and calls directly."""

import functools

import keras
from keras import layers

from keras_dla.keras_internals.graph_nodes import call_node, ordered_nodes
from keras_dla.layers.straight_call import straight_call

# Keras's own layers in this package's networks. None has work to do around its `call`.
PLAIN_LAYERS = (
    layers.Activation,
    layers.Add,
    layers.Dense,
    layers.GlobalAveragePooling2D,
    layers.MaxPooling2D,
    layers.ReLU,
    layers.ZeroPadding2D,
)


@keras.saving.register_keras_serializable(package="keras_dla")
class LeanModel(keras.Model):
    """A functional `keras.Model` that runs on PyTorch in less memory and time.

    Keras holds the output of every layer until the whole graph has run. Where PyTorch runs layer
    by layer, that is about half of a ResNet's memory in training and nearly all of it in inference,
    and memory that is not used again is slow. Nor does it go through Keras's own call of a layer
    where that comes down to the layer's `call`. The numbers are the same, and so is the model on
    the other backends, whose compilers do both.

    Args:
        inputs: nest of `keras.Input`.
        outputs: nest of `keras.KerasTensor`.
        name: name of the model.

    Example:
    >>> import keras
    >>> from keras_dla.models import LeanModel
    >>> x = keras.Input((4,))
    >>> LeanModel(x, keras.layers.Dense(2)(x)).output_shape
    (None, 2)
    """

    def _run_through_graph(self, inputs, operation_fn=lambda op: op, call_fn=None):
        if keras.backend.backend() != "torch" or call_fn is not None:
            return super()._run_through_graph(inputs, operation_fn, call_fn)
        tensors = dict(zip(map(id, self.inputs), keras.tree.flatten(inputs), strict=True))
        for node, last_used in self._steps:
            call = operation_fn(node.operation)
            if _is_plain(node.operation):
                call = functools.partial(straight_call, node.operation, call)
            call_node(node, tensors, call)
            for tensor in last_used:
                del tensors[tensor]
        outputs = [tensors[id(tensor)] for tensor in self.outputs]
        return keras.tree.pack_sequence_as(self._outputs_struct, outputs)

    @functools.cached_property
    def _steps(self):
        """The nodes in the order of Keras, each with the tensors that no later one reads."""
        needed = set(map(id, self.outputs))
        steps = []
        for node in reversed([node for node in ordered_nodes(self) if not node.is_input]):
            used = {id(tensor) for tensor in (*node.input_tensors, *node.outputs)}
            steps.append((node, used - needed))
            needed |= used
        return steps[::-1]


def _is_plain(operation: keras.Operation) -> bool:
    """Whether a call has no work around its `call`: Keras's own layers above, and `keras.ops`."""
    return type(operation) in PLAIN_LAYERS or not isinstance(operation, layers.Layer)
