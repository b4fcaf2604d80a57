"""A detector as a Keras model: with targets it gives losses, without them detections."""

import keras


class Detector(keras.Model):
    """Base class of detectors whose losses depend on what the network has proposed.

    Such a network needs the targets while it runs. So `fit` and `evaluate` put the targets `y` into
    the inputs, and a subclass returns from `call` a dictionary of losses where it finds them there,
    and of detections where not.

    Args:
        losses: names of the losses; each is shown while training.
        **kwargs: further arguments of `keras.Model`.
    """

    def __init__(self, losses: tuple[str, ...], **kwargs):
        # Boxes stay in float32 whatever the dtype policy; the layers cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.loss_means = [keras.metrics.Mean(name=name) for name in losses]

    def train_step(self, *args):
        # JAX hands over the variables first.
        *state, data = args
        return super().train_step(*state, _with_targets(data))

    def test_step(self, *args):
        *state, data = args
        return super().test_step(*state, _with_targets(data))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return sum([*y_pred.values(), *self.losses])

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for mean in self.loss_means:
            mean.update_state(y_pred[mean.name])
        return self.get_metrics_result()


def _with_targets(data):
    images, targets, _ = keras.utils.unpack_x_y_sample_weight(data)
    return ({**images, **targets},)
