"""Batch normalisation by each backend's fused kernel."""

import functools

import keras


@functools.cache
def fused_kernel(data_format: str, over_replicas: bool = False):
    """Returns the fused BN of the backend, or `None` where Keras's own is as fast or has to do.

    It is a function of `(x, gamma, beta, epsilon, statistics)`; `statistics` are the mean and the
    variance to normalise with, or `None` for the batch's own. It returns the normalised x, the mean
    and the biased variance.
    """
    if keras.backend.backend() == "torch" and over_replicas:
        from keras_dla.ops.torch.sync_batch_norm import batch_norm_of_replicas as batch_norm
    elif keras.backend.backend() == "torch":
        from keras_dla.ops.torch.batch_norm import batch_norm
    elif keras.backend.backend() == "tensorflow" and not over_replicas:
        from keras_dla.ops.tensorflow.batch_norm import batch_norm
    else:
        return None
    return functools.partial(batch_norm, data_format=data_format)
