"""Detects during an epoch that training has diverged."""

import math

import keras
from keras import ops


class DivergenceError(RuntimeError):
    """The error of a run whose loss is not finite, so that further training would be useless.

    Example:
    >>> from keras_dla.training import DivergenceError
    >>> issubclass(DivergenceError, RuntimeError)
    True
    """


def check_running_loss(model: keras.Model, epoch: int, step: int) -> None:
    """Raises `DivergenceError` unless the mean loss of the epoch so far is finite.

    Args:
        model: the model that `fit()` trains.
        epoch: integer from 1 on, for the message.
        step: integer, the number of steps of the epoch that are done, for the message.
    """
    for metric in model.metrics:
        if metric.name == "loss":
            loss = float(ops.convert_to_numpy(metric.result()))
            if not math.isfinite(loss):
                raise DivergenceError(
                    f"The loss is {loss} at step {step} of epoch {epoch}, so training stops here."
                )


def check_weights(model: keras.Model, place: str) -> None:
    """Raises `DivergenceError` unless all weights are finite, which the last loss cannot show.

    Args:
        model: the model that `fit()` trains.
        place: string, the step or epoch after which this is, for the message.
    """
    for weight in model.weights:
        if "float" in weight.dtype:
            value = weight.value
            if not bool(ops.convert_to_numpy(ops.all(ops.isfinite(value)))):
                raise DivergenceError(
                    f"{weight.path} is not finite {place}, so training stops here."
                )


class StopAtDivergence(keras.callbacks.Callback):
    """Ends `fit()` with an error soon after the loss has become infinite or NaN.

    The running mean of the loss does not recover from such a value within the epoch, so it is
    enough to check it every few steps, and the steps in between are not delayed.

    Args:
        every: integer, steps from one check to the next; defaults to 50.
        steps_done: integer, steps of the first epoch that an earlier process has done, for the
            message; defaults to 0.

    Raises:
        DivergenceError: when the loss is not finite; the message names the epoch and the step.

    Example:
    >>> import keras
    >>> from keras_dla.training import DivergenceError, StopAtDivergence
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> x, y = keras.ops.ones((8, 1)), keras.ops.full((8, 1), float("nan"))
    >>> try:
    ...     _ = model.fit(x, y, batch_size=1, verbose=0, callbacks=[StopAtDivergence(every=4)])
    ... except DivergenceError as error:
    ...     print(error)
    The loss is nan at step 4 of epoch 1, so training stops here.
    """

    def __init__(self, every: int = 50, steps_done: int = 0):
        super().__init__()
        self.every = every
        self.steps_done = steps_done

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Stores the number of the epoch."""
        self._epoch = epoch + 1

    # Not `on_train_batch_end`, whose logs would make Keras wait for the device at every step.
    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Checks the mean loss of the previous steps."""
        if batch and batch % self.every == 0:
            check_running_loss(self.model, self._epoch, self.steps_done + batch)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Resets the count of steps for the next epoch."""
        self.steps_done = 0
