"""Stochastic gradient descent with momentum, as in PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_dla.keras_internals.optimizer_hooks import HookedOptimizer
from keras_dla.keras_internals.private_names import decays, variable_index
from keras_dla.training.recipe.sgd_torch import foreach_sgd_step
from keras_dla.utils.types import Tensor


@keras.saving.register_keras_serializable(package="keras_dla")
class SGD(HookedOptimizer):
    """Gradient descent with momentum and an L2 penalty, as `torch.optim.SGD` computes it.

    For a weight `w` with gradient `g`:

        g        = g + weight_decay * w
        velocity = momentum * velocity + g
        w        = w - learning_rate * velocity                    # plain
        w        = w - learning_rate * (g + momentum * velocity)   # nesterov

    `keras.optimizers.SGD` differs in two ways that matter for the published recipes: its
    `weight_decay` shrinks the weights outside the momentum (with a momentum of 0.9 this is a tenth
    of the decay in the long run), and its velocity includes the learning rate, so that after a drop
    of the rate the old steps continue at the old rate for a while.

    The penalty applies to every trainable weight, including biases and normalisation, unless
    `exclude_from_weight_decay()` excludes it or `weight_decays` has another factor for it.

    Args:
        learning_rate: a float, a `keras.optimizers.schedules.LearningRateSchedule` or a callable
            without arguments; defaults to 0.01.
        momentum: float in `[0, 1]`; defaults to 0.0.
        nesterov: boolean, whether to use Nesterov momentum, which needs a positive momentum;
            defaults to False.
        weight_decay: float that is not negative, or `None` for no penalty; defaults to None.
        weight_decays: dictionary of factors that replace `weight_decay` for some weights:
            `{"attention": 2e-4}` applies to weights with `attention` in their path. The first
            matching entry counts; defaults to None.
        name: name of the optimizer; defaults to `"sgd"`.
        **kwargs: the other arguments of `keras.optimizers.Optimizer`: `clipnorm`, `clipvalue`,
            `global_clipnorm`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`,
            `loss_scale_factor` and `gradient_accumulation_steps`. Gradients are clipped before the
            penalty is added.

    Raises:
        ValueError: when an argument is outside its range.

    Example:
    >>> import keras
    >>> from keras_dla.training import SGD
    >>> weight = keras.Variable([1.0])
    >>> optimizer = SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.5)
    >>> optimizer.apply([keras.ops.ones(1)], [weight])
    >>> print(keras.ops.convert_to_numpy(weight))
    [0.85]
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | Callable = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        weight_decays: Mapping[str, float] | None = None,
        name: str = "sgd",
        **kwargs: Any,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        if not 0 <= momentum <= 1:
            raise ValueError(f"`momentum` must be from 0 to 1, but is {momentum!r}.")
        if nesterov and not momentum:
            raise ValueError(
                f"`momentum` must be positive with `nesterov=True`, but is {momentum!r}."
            )
        if weight_decay is not None and weight_decay < 0:
            raise ValueError(f"`weight_decay` must be at least 0, but is {weight_decay!r}.")
        self.weight_decays = dict(weight_decays or {})
        for part, decay in self.weight_decays.items():
            if decay < 0:
                raise ValueError(f"`weight_decays[{part!r}]` must be at least 0, but is {decay!r}.")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates one velocity per variable, unless the momentum is 0, and looks up its penalty."""
        if self.built:
            return
        super().build(variables)
        # On TensorFlow, `update_step` gets TensorFlow's variables, which have no path.
        self._decays = [self._decay_at(variable.path) for variable in variables]
        self.velocities = []
        if self.momentum:
            self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable by its gradient."""
        dtype = variable.dtype
        learning_rate = ops.cast(learning_rate, dtype)
        step = ops.cast(gradient, dtype)
        decay = self._decay_of(variable)
        if decay:
            step = ops.add(step, ops.multiply(variable, ops.cast(decay, dtype)))
        if self.momentum:
            step = self._accumulate(step, variable)
        self.assign_sub(variable, ops.multiply(learning_rate, step))

    def _accumulate(self, step, variable):
        momentum = ops.cast(self.momentum, variable.dtype)
        velocity = self.velocities[variable_index(self, variable)]
        moved = ops.add(ops.multiply(momentum, velocity), step)
        self.assign(velocity, moved)
        return ops.add(step, ops.multiply(momentum, moved)) if self.nesterov else moved

    def update_all(
        self,
        gradients: Sequence[Tensor],
        variables: Sequence[keras.Variable],
        learning_rate: Tensor,
    ) -> bool:
        """Updates all variables with PyTorch's multi-tensor kernels; elsewhere one by one."""
        if keras.backend.backend() != "torch":
            return False
        for decay, pairs in self._by_decay(gradients, variables).items():
            self._foreach_step(pairs, decay, learning_rate)
        return True

    def _by_decay(self, grads, variables):
        groups: dict[float, list[tuple]] = {}
        for pair in zip(grads, variables, strict=True):
            groups.setdefault(self._decay_of(pair[1]), []).append(pair)
        return groups

    def _foreach_step(self, pairs, decay, learning_rate):
        indices = [variable_index(self, variable) for _, variable in pairs]
        foreach_sgd_step(
            weights=[variable.value for _, variable in pairs],
            gradients=[gradient for gradient, _ in pairs],
            velocities=[self.velocities[i].value for i in indices] if self.momentum else [],
            learning_rate=ops.convert_to_tensor(learning_rate),
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=decay,
        )

    def _decay_of(self, variable):
        """Returns the penalty's factor for this variable; zero if there is none."""
        if not decays(self, variable):
            return 0.0
        return self._decays[variable_index(self, variable)]

    def _decay_at(self, path):
        own = (decay for part, decay in self.weight_decays.items() if part in path)
        return next(own, self.weight_decay or 0.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of an equal optimizer."""
        config = super().get_config()
        config.update(
            {
                "momentum": self.momentum,
                "nesterov": self.nesterov,
                "weight_decays": self.weight_decays,
            }
        )
        return config
