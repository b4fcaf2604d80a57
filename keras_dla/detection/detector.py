"""A detector as a Keras model: with targets it gives losses, without them detections."""

import keras

from keras_dla.detection.validation import check_batch, check_class_count


class ChecksClassCount:
    """What a detector has in front of `keras.Model`: it refuses data with other classes than its.

    A class that it does not have would be learned as background, without a word.
    """

    def fit(self, x=None, *args, **kwargs):
        """Trains as `keras.Model.fit` does, on data with as many classes as the detector has."""
        check_class_count(self.classes, "x", x)
        check_class_count(self.classes, "validation_data", kwargs.get("validation_data"))
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Returns the losses as `keras.Model.evaluate` does, on data with as many classes."""
        check_class_count(self.classes, "x", x)
        return super().evaluate(x, *args, **kwargs)


class Detector(ChecksClassCount, keras.Model):
    """Base class of detectors whose losses depend on what the network has proposed.

    Such a network needs the targets while it runs. So `fit` and `evaluate` put the targets `y` into
    the inputs, and a subclass returns from `call` a dictionary of losses where it finds them there,
    and of detections where not.

    Args:
        losses: names of the losses; each is shown while training.
        classes: integer, the number of classes, without background.
        **kwargs: further arguments of `keras.Model`.
    """

    # What `y` must have.
    TARGETS = ("boxes", "classes")

    def __init__(self, losses: tuple[str, ...], classes: int, **kwargs):
        # Boxes stay in float32 whatever the dtype policy; the layers cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.classes = classes
        self.loss_means = [keras.metrics.Mean(name=name) for name in losses]

    def train_step(self, *args):
        # JAX hands over the variables first.
        *state, data = args
        return super().train_step(*state, self._with_targets(data))

    def test_step(self, *args):
        *state, data = args
        return super().test_step(*state, self._with_targets(data))

    def _with_targets(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        check_batch(x, y, self.TARGETS)
        return ({**x, **y},)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return sum([*y_pred.values(), *self.losses])

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for mean in self.loss_means:
            mean.update_state(y_pred[mean.name])
        return self.get_metrics_result()
