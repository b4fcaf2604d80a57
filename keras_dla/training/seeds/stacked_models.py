"""Several equal models trained as one: their weights are stacked, and `jax.vmap` makes the step."""

import functools
from collections.abc import Callable, Iterable

import keras
import numpy as np
from keras import ops

STEPS_BETWEEN_LOOKS = 50


class StackedModels:
    """Equal compiled models that are trained and tested in one JAX program.

    Keras's step on JAX is a function of the state and the batch, so `jax.vmap` turns the step of
    the first model into that of all of them. The state contains everything that a step changes:
    weights, moving statistics, the counters of random numbers and the optimizer.

    Args:
        models: list of compiled models with the same layers.

    Raises:
        ValueError: when a model is not compiled or its variables differ from the first model's.
    """

    def __init__(self, models: list[keras.Model]):
        _check_alike(models)
        self.models = models
        for model in models:
            model.optimizer.build(model.trainable_variables)
        self.state = _stacked([_state_of(model) for model in models])
        self._initial_metrics = None

    def train(
        self, batches: Iterable, look: Callable[[int, list[dict]], None] | None = None
    ) -> list[dict]:
        """Takes one step per batch.

        Args:
            batches: iterable of batches whose arrays are `[models, batch, ...]`.
            look: function that is called from time to time, and after the last step, with the
                number of steps done and their logs, one dictionary per model; defaults to None.

        Returns:
            The logs of the last step, one dictionary per model.
        """
        logs, metrics, steps = None, None, 0
        for steps, batch in enumerate(batches, start=1):
            if metrics is None:
                metrics = self._new_metrics(_first(batch))
            self._wait_for(logs)
            logs, (*state, metrics) = self._train_step((*self.state, metrics), batch)
            self.state = tuple(state)
            if look is not None and steps % STEPS_BETWEEN_LOOKS == 0:
                look(steps, self._by_model(logs))
        logs = self._by_model(logs)
        if look is not None:
            look(steps, logs)
        return logs

    def test(self, batches: Iterable) -> list[dict]:
        """Tests every model on the same batches.

        Args:
            batches: iterable of batches.

        Returns:
            The logs, one dictionary per model.
        """
        logs, metrics = None, None
        trained, others, _ = self.state
        for batch in batches:
            if metrics is None:
                metrics = self._new_metrics(batch)
            self._wait_for(logs)
            # Only the metrics of a test are kept.
            logs, (_, _, metrics) = self._test_step((trained, others, metrics), batch)
        return self._by_model(logs)

    def learning_rate(self) -> float:
        """The learning rate of the next step, which is the same for all models."""
        optimizer = self.models[0].optimizer
        values = [value[0] for value in self.state[2]]
        with keras.StatelessScope(list(zip(optimizer.variables, values, strict=True))):
            return _shortest(ops.convert_to_numpy(ops.convert_to_tensor(optimizer.learning_rate)))

    def arrays(self) -> list[np.ndarray]:
        """Returns the whole state as NumPy arrays, in an order that equal stacks share."""
        return [ops.convert_to_numpy(value) for part in self.state for value in part]

    def set_arrays(self, arrays: list[np.ndarray]) -> None:
        """Restores the state that `arrays()` returned."""
        import jax.numpy as jnp

        remaining = iter(arrays)
        self.state = tuple([jnp.asarray(next(remaining)) for _ in part] for part in self.state)

    def write_back(self) -> None:
        """Writes each model's part of the state into the model."""
        for number, model in enumerate(self.models):
            for variables, values in zip(_variables(model), self.state, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value[number])

    @functools.cached_property
    def _train_step(self):
        import jax

        return jax.jit(jax.vmap(self.models[0].train_step), donate_argnums=0)

    @functools.cached_property
    def _test_step(self):
        import jax

        return jax.jit(jax.vmap(self.models[0].test_step, in_axes=(0, None)))

    def _new_metrics(self, batch):
        """Returns the metrics' variables as they are before the first batch."""
        if self._initial_metrics is None:
            self._initial_metrics = _initial_metrics(self.models[0], batch)
        return _stacked([self._initial_metrics] * len(self.models))

    def _wait_for(self, logs):
        """Lets one step run while the host prepares the next batch, and no more."""
        import jax

        jax.block_until_ready(logs)

    def _by_model(self, logs):
        if logs is None:
            raise ValueError("`data` must have at least one batch, but has none.")
        logs = {name: ops.convert_to_numpy(value) for name, value in logs.items()}
        return [
            {name: _shortest(value[number]) for name, value in logs.items()}
            for number in range(len(self.models))
        ]


def _variables(model):
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables


def _state_of(model):
    return tuple([variable.value for variable in part] for part in _variables(model))


def _stacked(states):
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda *values: jnp.stack(values), *states)


def _first(batch):
    return keras.tree.map_structure(lambda array: array[0], batch)


def _check_alike(models):
    first, *others = models
    for model in models:
        if not model.compiled:
            raise ValueError(f"The model {model.name!r} must be compiled, but is not.")
    for model in others:
        if [(v.shape, v.dtype) for v in model.variables] != [
            (v.shape, v.dtype) for v in first.variables
        ]:
            raise ValueError(
                "The models of all seeds must have equal layers, but the variables of "
                f"{model.name!r} differ from those of {first.name!r}."
            )


def _shortest(value):
    """Returns the shortest number that rounds to this float32: 0.1, not 0.10000000149."""
    return float(str(value))


def _initial_metrics(model, batch):
    """Creates the metrics' variables, as Keras does at the first prediction."""
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    inputs = keras.tree.map_structure(lambda a: keras.KerasTensor(a.shape, str(a.dtype)), x)
    predictions = keras.tree.map_structure(
        lambda spec: ops.zeros(spec.shape, spec.dtype), model.compute_output_spec(inputs)
    )
    model.compute_loss(x=x, y=y, y_pred=predictions, sample_weight=weight)
    model.compute_metrics(x, y, predictions, weight)
    model.reset_metrics()
    return [
        ops.convert_to_numpy(ops.convert_to_tensor(variable))
        for variable in model.metrics_variables
    ]
