"""A functional model that frees every feature map after its last use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_dla.keras_internals.functional_parameters import call_with, replaced_parameters
from keras_dla.keras_internals.graph_nodes import (
    free_young_cycles,
    has_nest,
    has_nodes,
    last_reads,
    ordered_nodes,
    prepared_call,
)
from keras_dla.keras_internals.inference_steps import inference_steps
from keras_dla.keras_internals.old_weight_files import with_new_names
from keras_dla.keras_internals.private_names import has_losses, in_stateless_scope
from keras_dla.keras_internals.rematerialization import rematerialize_tensors
from keras_dla.ops.devices import torch_only_infers, torch_runs_eagerly
from keras_dla.utils.label_check import check_classes
from keras_dla.utils.types import Nest, Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class LeanModel(keras.Model):
    """A functional `keras.Model` that runs in less memory on PyTorch.

    Keras keeps the output of every layer until the whole graph has run. When PyTorch runs layer by
    layer, that is about half of a ResNet's memory in training and nearly all of it in inference,
    and new memory is slower than memory that is used again. The results are the same. On the other
    backends, whose compilers free memory themselves, and with a Keras that runs its graphs
    differently, this is a plain functional model.

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
        # Not in an attribute, which Keras would search for layers.
        self.__dict__["_steps"] = _steps(self)
        self.__dict__["_inference"] = _inference(self)

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
        if training or mask is not None or kwargs or not self._can_infer(inputs):
            return super().call(inputs, **arguments)
        return self._infer(inputs)

    def _can_infer(self, inputs) -> bool:
        """Returns whether PyTorch runs layer by layer on one array of the rank that is needed."""
        if self.__dict__.get("_inference") is None or not torch_only_infers():
            return False
        if isinstance(inputs, keras.KerasTensor) or not hasattr(inputs, "shape"):
            return False
        return len(inputs.shape) == len(self.inputs[0].shape)

    def _infer(self, inputs) -> Nest:
        """Runs the steps of inference."""
        (x,) = self.inputs
        tensors = {id(x): keras.ops.convert_to_tensor(inputs, dtype=x.dtype)}
        for run, last_used in self.__dict__["_inference"]:
            run(tensors)
            for tensor in last_used:
                del tensors[tensor]
        outputs = keras.tree.pack_sequence_as(
            self.output, [tensors[id(tensor)] for tensor in self.outputs]
        )
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

    # Keras calls this for every run of a functional model. A Keras that does not call it runs the
    # model in its own way.
    def _run_through_graph(self, inputs, operation_fn=lambda op: op, call_fn=None):
        # While Keras constructs the model, there are no steps yet.
        steps = self.__dict__.get("_steps")
        if steps is None or keras.backend.backend() != "torch" or call_fn is not None:
            return super()._run_through_graph(inputs, operation_fn, call_fn)
        tensors = dict(zip(map(id, self.inputs), keras.tree.flatten(inputs), strict=True))
        for call, operation, last_used, nested in steps:
            call(tensors, operation_fn(operation))
            for tensor in last_used:
                del tensors[tensor]
            if nested:
                free_young_cycles()
        outputs = [tensors[id(tensor)] for tensor in self.outputs]
        return keras.tree.pack_sequence_as(self.output, outputs)


def _steps(model: keras.Model) -> list | None:
    """Returns the calls in Keras's order, each with the tensors that no later call reads.

    Each also says whether it reads or returns a nest of tensors. The result is `None` if Keras
    does not give access to the calls of its graph.
    """
    if not has_nodes(model):
        return None
    nodes = _calls(model)
    used = [(set(map(id, node.input_tensors)), set(map(id, node.outputs))) for node in nodes]
    last = last_reads(used, model.outputs)
    return [
        (prepared_call(node), node.operation, ids, has_nest(node))
        for node, ids in zip(nodes, last, strict=True)
    ]


def _inference(model: keras.Model) -> list | None:
    """Returns the steps of inference, each with the tensors that no later step reads.

    The result is `None` on other backends than PyTorch, if the model reads more than one tensor, or
    if one of its layers was told to train.
    """
    if keras.backend.backend() != "torch" or not has_nodes(model) or len(model.inputs) != 1:
        return None
    nodes = _calls(model)
    if any(node.arguments.kwargs.get("training") for node in nodes):
        return None
    steps = inference_steps(nodes, model.outputs)
    last = last_reads([(step.reads, step.writes) for step in steps], model.outputs)
    return list(zip([step.run for step in steps], last, strict=True))


def _calls(model: keras.Model) -> list:
    return [node for node in ordered_nodes(model) if not node.is_input]
