"""Support for `torch.func.functional_call` with Keras models.

Keras holds every variable's tensor twice, as a parameter of a PyTorch module and for its layers.
PyTorch only replaces the first, and a Keras model would continue to compute with the old numbers.
"""

from collections.abc import Callable

import keras

from keras_dla.utils.types import Tensor


def replaced_parameters(model: keras.Model) -> list[tuple[keras.Variable, Tensor]]:
    """Returns the variables of a model that PyTorch has replaced, with their replacements.

    The result is empty for a Keras that holds its parameters in another way.

    Args:
        model: the model.
    """
    parameters = getattr(getattr(model, "_torch_params", None), "_parameters", {})
    known = model.__dict__.get("_known_parameters", ())
    if len(known) != len(parameters):
        known = [(v, v.path) for v in model.variables if v.path in parameters]
        model.__dict__["_known_parameters"] = known
    return [(v, parameters[path]) for v, path in known if parameters[path] is not v._value]


def call_with(
    model: keras.Model,
    replaced: list[tuple[keras.Variable, Tensor]],
    call: Callable[..., Tensor],
    *args: object,
    **kwargs: object,
) -> Tensor:
    """Returns the result of a model's `call` with other tensors in place of its variables.

    Moving statistics are not updated: under a transform of PyTorch, the new ones may be tensors
    that are only valid inside it.

    Args:
        model: the model.
        replaced: list of variables and tensors.
        call: function, the model's `call`.
        *args: its arguments.
        **kwargs: its arguments.
    """
    with keras.StatelessScope(state_mapping=replaced) as scope:
        outputs = call(*args, **kwargs)
    for variable in model.non_trainable_variables:
        drawn = scope.get_current_value(variable)
        if drawn is not None and "int" in variable.dtype:  # the state of random numbers
            variable.assign(drawn)
    return outputs
