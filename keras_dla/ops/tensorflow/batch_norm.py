"""TensorFlow's fused batch normalisation."""

import tensorflow as tf

from keras_dla.ops.devices import is_tensorflow_on_cpu

LAYOUTS = {"channels_last": "NHWC", "channels_first": "NCHW"}


def batch_norm(x, gamma, beta, epsilon, statistics, data_format):
    """See `keras_dla.ops.batch_norm.fused_kernel`."""
    transposed = data_format == "channels_first" and is_tensorflow_on_cpu()
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.transpose(x, (0, 2, 3, 1)) if transposed else x,
        scale=tf.convert_to_tensor(gamma),
        offset=tf.convert_to_tensor(beta),
        mean=tf.convert_to_tensor([] if statistics is None else statistics[0], "float32"),
        variance=tf.convert_to_tensor([] if statistics is None else statistics[1], "float32"),
        epsilon=epsilon,
        exponential_avg_factor=1.0,
        data_format=LAYOUTS["channels_last" if transposed else data_format],
        is_training=statistics is None,
    )
    # The kernel reports the unbiased variance; Keras moves the biased one.
    count = tf.cast(tf.size(outputs) // tf.size(mean), mean.dtype)
    variance = variance * (count - 1) / count
    return tf.transpose(outputs, (0, 3, 1, 2)) if transposed else outputs, mean, variance
