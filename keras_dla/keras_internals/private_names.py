"""Private names of Keras, each wrapped in a function that says what it is for.

For a Keras without such a name, the function has a fallback or raises an error of one sentence.
"""

from collections.abc import Sequence
from typing import Any

import keras

try:
    from keras.src.backend.common.stateless_scope import in_stateless_scope
    from keras.src.backend.common.variables import AutocastScope
    from keras.src.backend.common.variables import get_autocast_scope as autocast_scope
except ImportError:
    # The safe answers: something may stand in a variable's place, and it may be cast.
    AutocastScope = None

    def in_stateless_scope() -> bool:
        """Returns whether variables stand for values that a caller passed.

        This is so in `stateless_call`. Variables are then copied instead of changed in place.
        """
        return True

    def autocast_scope() -> Any:
        """Returns the scope in which variables are read in another dtype, or `None`."""
        return True


# Whether a variable outside all scopes is the tensor that it stores.
READS_AS_STORED = keras.backend.backend() == "torch"


def _private(owner: object, name: str, purpose: str) -> Any:
    """Returns an attribute of Keras; raises `RuntimeError` if this Keras does not have it."""
    if not hasattr(owner, name):
        raise RuntimeError(
            f"keras_dla {purpose} by `{type(owner).__name__}.{name}`, which Keras "
            f"{keras.__version__} does not have; use an older Keras."
        )
    return getattr(owner, name)


def all_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns a layer and the layers inside it, at any depth, each once.

    `keras.Model.layers` has only the first level, and other layers have no such list.
    """
    return list(_private(layer, "_flatten_layers", "finds the layers inside a layer")())


def own_non_trainable_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns a layer's own non-trainable variables, without those of the layers inside it."""
    purpose = "finds the moving statistics of a layer"
    return list(_private(layer, "_non_trainable_variables", purpose))


def values_of(variables: Sequence[keras.Variable | None]) -> list:
    """Returns `variable.value` of each, and `None` for `None`.

    On PyTorch, Keras asks for every variable what could stand in its place, which takes as long as
    a small operation; here it is asked once.
    """
    if READS_AS_STORED and not in_stateless_scope() and autocast_scope() is None:
        values = [getattr(variable, "_value", None) for variable in variables]
        for value in values:
            if value is None:
                break
        else:
            return values
    return [None if variable is None else variable.value for variable in variables]


def has_losses(layer: keras.layers.Layer) -> bool:
    """Returns whether `add_loss` has left losses in a layer or in the layers inside it.

    A Keras that does not say is taken to have some. Keras empties every layer's list at each call
    of a model, which takes as long as several small layers; looking takes a tenth of that.
    """
    pending = [layer]
    while pending:
        one = pending.pop()
        if getattr(one, "_losses", True) or getattr(one, "_loss_ids", False):
            return True
        pending += getattr(one, "_layers", ())
    return False


def is_rematerialised(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer was made in a `keras.RematScope`, to be recomputed for gradients."""
    return getattr(layer, "_remat_mode", None) is not None


def operation_of(tensor: keras.KerasTensor) -> keras.Operation:
    """Returns the layer or operation of a functional model that made `tensor`."""
    return _private(tensor, "_keras_history", "finds the layer that made a tensor").operation


def standardized(model: keras.Model, inputs: Any) -> list:
    """Returns the inputs of a functional model as its graph reads them, a list of tensors."""
    if len(model.inputs) == 1 and len(getattr(inputs, "shape", ())) == len(model.inputs[0].shape):
        return [keras.ops.convert_to_tensor(inputs, dtype=model.inputs[0].dtype)]
    return _private(model, "_standardize_inputs", "runs the layers of a model")(inputs)


def build_all(model: keras.Model, batch: Any) -> None:
    """Builds a compiled model, its metrics and its optimiser for batches like `batch`.

    `fit` does this too, but on TensorFlow not before the first step.
    """
    _private(model, "_symbolic_build", "builds a model's metrics")(data_batch=batch)


def replace_building(model: keras.Model, build: Any) -> None:
    """Makes `fit` build the model by `build(iterator=None, data_batch=None)`."""
    _private(model, "_maybe_symbolic_build", "builds a model over several machines")
    model._maybe_symbolic_build = build


def variable_index(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int:
    """Returns the index of a variable among those that `optimizer` was built for."""
    return _private(optimizer, "_get_variable_index", "finds a variable's velocity")(variable)


def decays(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    """Returns whether weight decay applies to `variable` (see `exclude_from_weight_decay`)."""
    return _private(optimizer, "_use_weight_decay", "finds what weight decay leaves out")(variable)
