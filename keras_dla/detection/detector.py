"""A detector as a Keras model: with targets it returns losses, without them detections."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_dla.data.detection.preparation import ImagePreparation
from keras_dla.detection.ops.stable_top_k import sorting_all
from keras_dla.detection.validation import (
    check_batch,
    check_classes,
    check_inputs,
    checked_class_names,
    names_of,
)
from keras_dla.utils.types import Nest, Tensor


class KnowsItsData:
    """Mix-in for a detector, which knows its classes and the preparation of its images.

    `fit` stores the names of the classes, and how the images were resized and normalised; both are
    saved with the model. Data with other classes is refused, and classes in another order are
    matched by name: otherwise a class would silently be learned as another one.
    """

    # The backends from which it can be exported as a SavedModel.
    saved_model_backends: tuple[str, ...] = ("tensorflow", "jax")
    classes: int
    preparation: ImagePreparation | None = None
    _class_names: tuple[str, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes in the order of their numbers, or `None`."""
        return self._class_names

    @class_names.setter
    def class_names(self, names: Sequence[str] | None) -> None:
        self._class_names = checked_class_names(names, self.classes)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does, on data with the detector's classes.

        A detector that does not know the names of its classes, or the size of its images, takes
        them from a `DetectionDataset`.
        """
        for name in ("class_weight", "sample_weight"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"`{name}` must be None, because a detector does not weight objects."
                )
        self._check_loss()
        self._match("x", x)
        self._match("validation_data", kwargs.get("validation_data"))
        names = names_of(x)
        if self.class_names is None and names is not None and len(set(names)) == len(names):
            self.class_names = names
            self._match("validation_data", kwargs.get("validation_data"))
        self.preparation = getattr(x, "preparation", None) or self.preparation
        return super().fit(x, y, *args, **kwargs)  # type: ignore[misc]

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Returns the losses as `keras.Model.evaluate` does, on data with its classes."""
        self._check_loss()
        self._match("x", x)
        return super().evaluate(x, *args, **kwargs)  # type: ignore[misc]

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the detections as `keras.Model.predict` does."""
        if isinstance(x, Mapping) or hasattr(x, "shape"):
            check_inputs("x", x)
            with self._program_for(x):
                return super().predict(x, *args, **kwargs)  # type: ignore[misc]
        return super().predict(x, *args, **kwargs)  # type: ignore[misc]

    def predict_on_batch(self, x: Any) -> Any:
        """Returns the detections of a batch as `keras.Model.predict_on_batch` does."""
        check_inputs("x", x)
        with self._program_for(x):
            return super().predict_on_batch(x)  # type: ignore[misc]

    # Not in `compile`, because Keras does not compile a loaded model whose class overrides
    # `compile`.
    def _check_loss(self):
        loss = getattr(self, "loss", None)
        if loss is not None:
            raise ValueError(
                "`loss` must be None in `compile`, because a detector has its own losses, but is "
                f"{loss!r}."
            )

    @sorting_all()
    def infer(self, x: Nest) -> dict[str, Tensor]:
        """Returns the detections of a batch as tensors, for exported programs.

        Args:
            x: dictionary of `"images"` and `"sizes"`.
        """
        return self(x, training=False)  # type: ignore[operator]

    def export_shape(self, image_shape: Sequence[int] | None = None) -> tuple[int, ...]:
        """Returns the shape of one padded image that an exported detector reads.

        Args:
            image_shape: pair of integers, height and width in pixels; defaults to None, that of
                the training.

        Raises:
            ValueError: when it is unknown, or not two multiples of 32.
        """
        known = getattr(self.preparation, "padded_shape", None)
        shape = getattr(self, "image_shape", None) or image_shape or known
        if shape is None or len(shape) != 2 or any(side <= 0 or side % 32 for side in shape):
            raise ValueError(
                "`image_shape` must be the height and width of the padded images, multiples of "
                f"32, but is {shape!r}."
            )
        last = self.data_format == "channels_last"  # type: ignore[attr-defined]
        return (*shape, 3) if last else (3, *shape)

    def _match(self, name, dataset):
        check_classes(self.classes, self.class_names, name, dataset)
        names = self.class_names and names_of(dataset)
        if names and tuple(names) != self.class_names and hasattr(dataset, "number_classes"):
            dataset.number_classes(self.class_names)

    @contextlib.contextmanager
    def _program_for(self, x):
        """Predicts with a separate program for each image size.

        After two sizes, TensorFlow would generalise its program to unknown sizes, whose anchors
        cannot be computed.
        """
        if keras.backend.backend() == "tensorflow":
            shape = tuple(x["images"].shape[1:])
            if shape != vars(self).get("_predicted_shape", shape):
                self.predict_function = None
            vars(self)["_predicted_shape"] = shape
            yield
        else:
            yield

    def _known_data(self) -> dict[str, Any]:
        """Returns the part of the configuration about the detector's data."""
        names, preparation = self.class_names, self.preparation
        return {
            "class_names": None if names is None else list(names),
            "preparation": None if preparation is None else preparation.get_config(),
        }


def as_preparation(given: "ImagePreparation | Mapping[str, Any] | None") -> ImagePreparation | None:
    """Returns the preparation of images that a configuration or the user gave."""
    if given is None or isinstance(given, ImagePreparation):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(
            f"`preparation` must be an ImagePreparation, its settings or None, but is {given!r}."
        )
    return ImagePreparation(**given)


class Detector(KnowsItsData, keras.Model):
    """Base class of detectors whose losses depend on the network's proposals.

    Such a network needs the targets while it runs. So `fit` and `evaluate` add the targets `y` to
    the inputs, and `call` of a subclass returns a dictionary of losses if they are there, and
    otherwise of detections.

    Args:
        losses: tuple of strings, the names of the losses, which are shown in training.
        classes: integer, the number of classes, without background.
        **kwargs: further arguments of `keras.Model`.
    """

    # The entries that `y` must have.
    TARGETS: tuple[str, ...] = ("boxes", "classes")

    def __init__(self, losses: tuple[str, ...], classes: int, **kwargs: Any):
        # Boxes stay in float32 under every dtype policy; the layers cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.classes = classes
        self.loss_means = [keras.metrics.Mean(name=name) for name in losses]

    def train_step(self, *args: Any) -> Any:
        # On JAX, the first argument is the state.
        *state, data = args
        return super().train_step(*state, self._with_targets(data))

    def test_step(self, *args: Any) -> Any:
        *state, data = args
        return super().test_step(*state, self._with_targets(data))

    def _with_targets(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        check_batch(x, y, self.TARGETS)
        return ({**x, **y},)

    def compute_loss(
        self,
        x: Nest = None,
        y: Nest = None,
        y_pred: Nest = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        return sum([*y_pred.values(), *self.losses])

    def compute_metrics(
        self, x: Nest, y: Nest, y_pred: Nest, sample_weight: Tensor = None
    ) -> dict[str, Any]:
        for mean in self.loss_means:
            mean.update_state(y_pred[mean.name])
        return self.get_metrics_result()
