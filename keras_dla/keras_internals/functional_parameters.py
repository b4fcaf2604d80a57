"""`torch.func.functional_call` of a Keras model, whose layers read variables of their own.

Keras knows every variable's tensor twice, as a parameter of a PyTorch module and for its layers.
PyTorch replaces the first alone, and a Keras model would go on with the old numbers.
"""

from collections.abc import Callable

import keras

from keras_dla.utils.types import Tensor


def replaced_parameters(model: keras.Model) -> list[tuple[keras.Variable, Tensor]]:
    """Returns the variables of a model on PyTorch that have others in their places, with those.

    A Keras that holds its parameters otherwise has none replaced.

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
    """Returns what `call` of a model returns with other tensors in the places of variables.

    Moving statistics stay as they are: under a transform of PyTorch the new ones may be tensors
    that end with it.

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
