"""A learning rate that drops at given epochs, with an optional warm-up."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_positive_integer

# The share of the learning rate with which MMDetection's warm-up by steps begins.
WARMUP_START = 0.001


def check_milestones(milestones: Sequence[int]) -> None:
    """Raises `ValueError` unless `milestones` are epochs from 1 on in ascending order."""
    for milestone in milestones:
        check_positive_integer("milestones", milestone)
    if list(milestones) != sorted(milestones):
        raise ValueError(f"`milestones` must be in ascending order, but are {tuple(milestones)}.")


def check_warmup(warmup_epochs: int, milestones: Sequence[int]) -> None:
    """Raises `ValueError` unless the warm-up ends before the first milestone."""
    latest = milestones[0] if milestones else float("inf")
    if not isinstance(warmup_epochs, int) or not 0 <= warmup_epochs <= latest:
        raise ValueError(
            f"`warmup_epochs` must be an integer from 0 to the first milestone ({latest}), "
            f"but is {warmup_epochs!r}."
        )


def check_warmup_steps(warmup_steps: int, warmup_epochs: int) -> None:
    """Raises `ValueError` unless the steps are an integer, which is 0 with a warm-up by epochs."""
    is_count = isinstance(warmup_steps, int) and not isinstance(warmup_steps, bool)
    if not is_count or warmup_steps < 0 or (warmup_steps and warmup_epochs):
        raise ValueError(
            "`warmup_steps` must be an integer of at least 0, and 0 if `warmup_epochs` "
            f"({warmup_epochs}) is given, but is {warmup_steps!r}."
        )


@keras.saving.register_keras_serializable(package="keras_dla")
class MultiStepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Multiplies the learning rate by `factor` at the start of each milestone epoch.

    Epochs count from 0, as in `fit(initial_epoch=...)`: with the milestones 100 and 150, epoch 99
    is still trained at the full rate and epoch 100, the 101st, at a tenth.

    During a warm-up of `warmup_epochs` epochs, `n = warmup_epochs * steps_per_epoch`
    steps, the rate of step `t` (from 0) is `initial_learning_rate * (t + 1) / n`: it
    starts just above zero and its last step has the full rate. A warm-up of `warmup_steps` steps is
    MMDetection's: the rate of step `t` is `initial_learning_rate` times
    `0.001 + 0.999 * t / warmup_steps`.

    Args:
        initial_learning_rate: float, the learning rate before the first milestone.
        milestones: epochs at whose start the learning rate drops, in ascending order. An epoch that
            is listed twice drops it twice.
        steps_per_epoch: integer, optimizer steps in one epoch.
        factor: positive float, the factor by which a milestone multiplies the learning rate;
            defaults to 0.1.
        warmup_epochs: integer, length of the linear warm-up; 0 for none; defaults to 0.
        warmup_steps: integer, the same in steps; 0 for none. Only one of the two may be given;
            defaults to 0.

    Raises:
        ValueError: when an argument is outside its range.

    Example:
    >>> from keras_dla.training import MultiStepDecay
    >>> schedule = MultiStepDecay(0.1, milestones=(2, 3), steps_per_epoch=10)
    >>> [round(float(schedule(step)), 6) for step in (0, 19, 20, 30)]
    [0.1, 0.1, 0.01, 0.001]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        milestones: Sequence[int],
        steps_per_epoch: int,
        factor: float = 0.1,
        warmup_epochs: int = 0,
        warmup_steps: int = 0,
    ):
        if not initial_learning_rate > 0:
            raise ValueError(
                f"`initial_learning_rate` must be positive, but is {initial_learning_rate!r}."
            )
        if not factor > 0:
            raise ValueError(f"`factor` must be positive, but is {factor!r}.")
        check_positive_integer("steps_per_epoch", steps_per_epoch)
        check_milestones(milestones)
        check_warmup(warmup_epochs, milestones)
        check_warmup_steps(warmup_steps, warmup_epochs)
        self.initial_learning_rate = initial_learning_rate
        self.milestones = tuple(milestones)
        self.steps_per_epoch = steps_per_epoch
        self.factor = factor
        self.warmup_epochs = warmup_epochs
        self.warmup_steps = warmup_steps

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the learning rate of optimizer step `step`, a float scalar tensor."""
        rate = ops.convert_to_tensor(self.initial_learning_rate, "float32")
        for drops, milestone in enumerate(self.milestones, start=1):
            lower = self.initial_learning_rate * self.factor**drops
            rate = ops.where(step >= milestone * self.steps_per_epoch, lower, rate)
        return rate * self._warmup(step)

    def _warmup(self, step):
        """Returns the factor of the warm-up."""
        if self.warmup_steps:
            share = ops.minimum(ops.cast(step, "float32") / self.warmup_steps, 1.0)
            return WARMUP_START + (1.0 - WARMUP_START) * share
        if not self.warmup_epochs:
            return 1.0
        steps = self.warmup_epochs * self.steps_per_epoch
        return ops.minimum((ops.cast(step, "float32") + 1.0) / steps, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of an equal schedule."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "milestones": list(self.milestones),
            "steps_per_epoch": self.steps_per_epoch,
            "factor": self.factor,
            "warmup_epochs": self.warmup_epochs,
            "warmup_steps": self.warmup_steps,
        }
