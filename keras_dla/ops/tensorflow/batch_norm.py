"""TensorFlow's fused batch normalisation."""

from typing import Any

import tensorflow as tf

from keras_dla.ops.devices import is_tensorflow_on_cpu
from keras_dla.utils.types import Tensor

LAYOUTS = {"channels_last": "NHWC", "channels_first": "NCHW"}


def batch_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    moving: Any,
    momentum: float,
    epsilon: float,
    training: bool | None,
    data_format: str,
    over_replicas: bool = False,
) -> Tensor:
    """See `keras_dla.ops.batch_norm.batch_norm`."""
    transposed = data_format == "channels_first" and is_tensorflow_on_cpu()
    mean, variance = map(tf.convert_to_tensor, moving)
    outputs, *batch, _, _, _ = tf.raw_ops.FusedBatchNormV3(
        x=tf.transpose(x, (0, 2, 3, 1)) if transposed else x,
        scale=tf.ones_like(mean) if gamma is None else tf.convert_to_tensor(gamma),
        offset=tf.zeros_like(mean) if beta is None else tf.convert_to_tensor(beta),
        mean=tf.constant([], "float32") if training else mean,
        variance=tf.constant([], "float32") if training else variance,
        epsilon=epsilon,
        exponential_avg_factor=1.0,
        data_format=LAYOUTS["channels_last" if transposed else data_format],
        is_training=training,
    )
    outputs = tf.transpose(outputs, (0, 3, 1, 2)) if transposed else outputs
    if training:
        # The kernel reports the unbiased variance.
        mean, variance = (
            old * momentum + new * (1.0 - momentum)
            for old, new in zip((mean, variance), batch, strict=True)
        )
    return outputs, mean, variance
