"""A functional model that frees every feature map after its last use, and calls layers directly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_dla.keras_internals.direct_calls import layer_step
from keras_dla.keras_internals.functional_parameters import call_with, replaced_parameters
from keras_dla.keras_internals.graph_nodes import calls, has_nodes, last_reads
from keras_dla.keras_internals.inference_steps import FastInference
from keras_dla.keras_internals.old_weight_files import with_new_names
from keras_dla.keras_internals.private_names import (
    has_losses,
    in_stateless_scope,
    standardized,
)
from keras_dla.keras_internals.rematerialization import rematerialize_tensors
from keras_dla.ops.devices import torch_only_infers, torch_runs_eagerly
from keras_dla.utils.label_check import check_classes
from keras_dla.utils.types import Nest, Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class LeanModel(keras.Model):
    """A functional `keras.Model` that runs in less memory on PyTorch.

    Keras keeps the output of every layer until the whole graph has run. When PyTorch runs layer by
    layer, that is about half of a ResNet's memory in training and nearly all of it in inference,
    and new memory is slower than memory that is used again. Keras also prepares every call of a
    layer, which takes longer than the kernels of a small map; where that has no effect, the layers
    run by their own `call`. The results are the same. On the other backends, whose compilers free
    memory themselves, and with a Keras that runs its graphs differently, this is a plain functional
    model.

    Args:
        inputs: nest of `keras.Input`.
        outputs: nest of `keras.KerasTensor`.
        name: string, name of the model; by default Keras chooses one.

    Call arguments:
        inputs: nest of tensors.
        training: boolean, whether the layers train; defaults to `None`, as Keras decides.
        mask: nest of tensors or `None`, as in `keras.Model`; defaults to `None`.
        **kwargs: further arguments of the `call` of `keras.Model`.

    Returns:
        A nest of tensors.

    Example:
    >>> import keras
    >>> from keras_dla.models import LeanModel
    >>> x = keras.Input((4,))
    >>> LeanModel(x, keras.layers.Dense(2)(x)).output_shape
    (None, 2)
    """

    # Keras treats a class as a functional model, and loads it as one, if its constructor has the
    # signature of Keras's own; in 3.10 this is that signature.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Not in attributes, which Keras would search for layers.
        self.__dict__["_steps"] = steps = _training_steps(self)
        self.__dict__["_inference"] = None if steps is None else FastInference(self)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains like `keras.Model.fit`, but first refuses labels without a class.

        Args:
            x: the data; of a `keras_dla.data.ArrayDataset` all labels are checked; defaults to
                `None`.
            *args: further arguments of `keras.Model.fit`.
            **kwargs: the same by name.

        Returns:
            The history of the training.

        Raises:
            ValueError: when a label is not the index of one of the model's outputs.
        """
        check_classes(self, x, kwargs.get("validation_data"))
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates like `keras.Model.evaluate`, but first refuses labels without a class.

        Args:
            x: the data; defaults to `None`.
            *args: further arguments of `keras.Model.evaluate`.
            **kwargs: the same by name.

        Returns:
            The loss and the metrics.

        Raises:
            ValueError: when a label is not the index of one of the model's outputs.
        """
        check_classes(self, x)
        return super().evaluate(x, *args, **kwargs)

    def call(
        self, inputs: Nest, training: bool | None = None, mask: Nest = None, **kwargs: Any
    ) -> Nest:
        arguments = {"training": training, "mask": mask, **kwargs}
        replaced = replaced_parameters(self) if torch_runs_eagerly() else []
        if replaced:
            return call_with(self, replaced, super().call, inputs, **arguments)
        steps = self.__dict__.get("_steps")  # none while Keras constructs the model
        if steps is None or mask is not None or kwargs:
            return super().call(inputs, **arguments)
        if not training and torch_only_infers():
            fast = self.__dict__["_inference"].steps()
            if fast is not None:
                return self._run(fast, inputs)
        return self._run(steps, inputs, training)

    def _run(self, steps, inputs, *settings) -> Nest:
        """Runs steps, each of which adds tensors, and frees what no later one reads."""
        tensors = dict(zip(map(id, self.inputs), standardized(self, inputs), strict=True))
        for run, last_used in steps:
            run(*settings, tensors)
            for tensor in last_used:
                del tensors[tensor]
        outputs = [tensors[id(tensor)] for tensor in self.outputs]
        outputs = keras.tree.pack_sequence_as(self.output, outputs)
        # Keras's own `call` does the same.
        single = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        return outputs[0] if single else outputs

    def load_weights(
        self, filepath: str | Path, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Loads like `keras.Model.load_weights`, also files from before layers were renamed.

        Args:
            filepath: path of the file.
            skip_mismatch: boolean, whether to leave out layers whose weights do not fit; defaults
                to `False`.
            **kwargs: further arguments of `keras.Model.load_weights`.
        """
        with with_new_names(filepath) as path:
            super().load_weights(path, skip_mismatch=skip_mismatch, **kwargs)

    # Keras calls this at the beginning of every call of a model.
    def _clear_losses(self) -> None:
        if in_stateless_scope() or has_losses(self):
            super()._clear_losses()

    def rematerialized_call(
        self, layer_call: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        return rematerialize_tensors(self, super().rematerialized_call, layer_call, args, kwargs)


def _training_steps(model: keras.Model) -> list | None:
    """Returns the calls of training, in Keras's order, each with the tensors that no later reads.

    The first argument of a call is `training`. The result is `None` on other backends than PyTorch,
    and if Keras does not give access to the calls of its graph.
    """
    if keras.backend.backend() != "torch" or not has_nodes(model):
        return None
    nodes = calls(model)
    used = [(set(map(id, node.input_tensors)), set(map(id, node.outputs))) for node in nodes]
    return list(zip(map(layer_step, nodes), last_reads(used, model.outputs), strict=True))
