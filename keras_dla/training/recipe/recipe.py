"""The paper's training recipes, and the compilation of models with them."""

import dataclasses

import keras

from keras_dla.ops.devices import is_tensorflow_on_cpu
from keras_dla.training.recipe.metrics import TopKAccuracy
from keras_dla.training.recipe.schedules import (
    MultiStepDecay,
    check_milestones,
    check_warmup,
    check_warmup_steps,
)
from keras_dla.training.recipe.sgd import SGD
from keras_dla.utils.validation import check_positive_integer, check_rate

# Parts of the paths of weights to which `attention_weight_decay` applies: the names that the
# builder gives to these layers.
ATTENTION_PATHS = ("attention", "interaction")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a training run.

    Change one with `dataclasses.replace(recipe, momentum=0.8)`; `scaled()` shortens a recipe
    together with everything that is counted in epochs.

    Args:
        name: string, what the recipe is for.
        epochs: integer, passes over the training images.
        batch_size: integer, images per step.
        learning_rate: positive float, the learning rate before the first milestone.
        momentum: float, at least 0 and less than 1.
        weight_decay: float that is not negative, the L2 penalty of `SGD`.
        attention_weight_decay: the same for the weights of block attentions and layer interactions;
            `None` for `weight_decay`; defaults to None.
        milestones: epochs (from 0) at whose start the learning rate drops, in ascending order.
        factor: positive float, the factor by which a milestone multiplies the learning rate;
            defaults to 0.1.
        warmup_epochs: integer, length of the linear warm-up; 0 for none; defaults to 0.
        warmup_steps: integer, the same in steps; `scaled()` does not change it; defaults to 0.
        drop_path: float, at least 0 and less than 1, the rate of the model's drop path; defaults to
            0.0.

    Raises:
        ValueError: when an argument is outside its range.

    Example:
    >>> from keras_dla.training import CIFAR
    >>> CIFAR.scaled(epochs=18).milestones
    (10, 15)
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    milestones: tuple[int, ...]
    factor: float = 0.1
    warmup_epochs: int = 0
    warmup_steps: int = 0
    drop_path: float = 0.0
    attention_weight_decay: float | None = None

    def __post_init__(self):
        check_positive_integer("epochs", self.epochs)
        check_positive_integer("batch_size", self.batch_size)
        check_rate("momentum", self.momentum)
        check_rate("drop_path", self.drop_path)
        check_milestones(self.milestones)
        check_warmup(self.warmup_epochs, self.milestones)
        check_warmup_steps(self.warmup_steps, self.warmup_epochs)
        for name in ("learning_rate", "factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name)!r}.")
        for name in ("weight_decay", "attention_weight_decay"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"`{name}` must be at least 0, but is {getattr(self, name)!r}.")

    def scaled(self, epochs: int) -> "Recipe":
        """Returns this recipe for another number of epochs.

        Milestones and warm-up keep their relative position: half-way stays half-way. In a very
        short run, drops can coincide or come after the end.

        Args:
            epochs: integer, the new number of epochs.

        Returns:
            A new recipe, equal to this one if `epochs` is.
        """
        check_positive_integer("epochs", epochs)

        def scale(epoch):  # to the nearest whole epoch, rounding halves up
            return (2 * epoch * epochs + self.epochs) // (2 * self.epochs)

        return dataclasses.replace(
            self,
            epochs=epochs,
            milestones=tuple(max(1, scale(milestone)) for milestone in self.milestones),
            warmup_epochs=scale(self.warmup_epochs),
        )

    def schedule(self, steps_per_epoch: int) -> MultiStepDecay:
        """Returns the learning rate as a schedule over optimizer steps.

        Args:
            steps_per_epoch: integer, optimizer steps in one epoch.
        """
        return MultiStepDecay(
            self.learning_rate,
            milestones=self.milestones,
            steps_per_epoch=steps_per_epoch,
            factor=self.factor,
            warmup_epochs=self.warmup_epochs,
            warmup_steps=self.warmup_steps,
        )

    def optimizer(self, steps_per_epoch: int) -> SGD:
        """Returns a new optimizer with the recipe's schedule.

        Args:
            steps_per_epoch: integer, optimizer steps in one epoch.
        """
        return SGD(
            self.schedule(steps_per_epoch),
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            weight_decays=self._own_decays(),
        )

    def _own_decays(self) -> dict[str, float]:
        if self.attention_weight_decay is None:
            return {}
        return dict.fromkeys(ATTENTION_PATHS, self.attention_weight_decay)


# Section 4.1 takes batch size, learning rate and weight decay from the original ResNets. The number
# of epochs, the milestones and the drop path are only in the authors' run.sh, not in the paper.
CIFAR = Recipe(
    name="cifar",
    epochs=180,
    batch_size=128,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(100, 150),
    drop_path=0.2,
)

# Section 4.1, with the drop path and the length of the warm-up of the authors' script. Their
# learning rate rises from epoch to epoch (0.0001, 0.033, 0.067), ours to the same rate from step to
# step.
IMAGENET = Recipe(
    name="imagenet",
    epochs=100,
    batch_size=256,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(30, 60, 90),
    warmup_epochs=3,
    drop_path=0.2,
)

# Section 4.2, with MMDetection's default warm-up.
DETECTION = Recipe(
    name="detection",
    epochs=12,
    batch_size=8,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(8, 11),
    warmup_steps=500,
)


def compile_model(
    model: keras.Model,
    recipe: Recipe,
    steps_per_epoch: int,
    jit_compile: bool | str | None = None,
) -> keras.Model:
    """Compiles a classifier for training by a recipe.

    The loss is the sparse cross-entropy, from probabilities if the model ends in a softmax and from
    logits otherwise. The metrics are `accuracy` and, with more than five classes, `top5_accuracy`.
    With the policy `mixed_float16` the loss is scaled.

    Args:
        model: a classifier with one output, `[batch, classes]`.
        recipe: a `Recipe`, such as `keras_dla.training.CIFAR`.
        steps_per_epoch: integer, optimizer steps in one epoch.
        jit_compile: passed on to `model.compile()`; defaults to None, which means `"auto"`, but
            `False` for TensorFlow on a CPU, where its own kernels are faster than XLA's.

    Returns:
        The same model, compiled.

    Example:
    >>> import keras
    >>> from keras_dla.training import CIFAR, compile_model
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10)])
    >>> compile_model(model, CIFAR, steps_per_epoch=390).loss.name
    'sparse_categorical_crossentropy'
    """
    model.compile(
        optimizer=_with_loss_scale(recipe.optimizer(steps_per_epoch), model),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=not _ends_in_softmax(model)),
        metrics=_metrics(classes=model.output_shape[-1]),
        jit_compile=_fastest_jit_compile() if jit_compile is None else jit_compile,
    )
    return model


def _fastest_jit_compile() -> bool | str:
    return False if is_tensorflow_on_cpu() else "auto"


def _with_loss_scale(optimizer, model: keras.Model):
    """Wraps the optimizer for loss scaling, in the cases in which Keras would.

    Keras does not when it loads a saved model under another global policy, and then loses the
    optimizer's state.
    """
    if model.dtype_policy.name != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def _ends_in_softmax(model: keras.Model) -> bool:
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return activation is keras.activations.softmax or isinstance(last, keras.layers.Softmax)


def _metrics(classes: int) -> list[keras.metrics.Metric]:
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    if classes > 5:
        metrics.append(TopKAccuracy(k=5, name="top5_accuracy"))
    return metrics
