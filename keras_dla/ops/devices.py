"""What the backend and its device can do: the only place in the layers that asks."""

import functools

import keras


@functools.cache
def is_tensorflow_on_cpu() -> bool:
    """Returns whether TensorFlow computes without a GPU, where it convolves channels-last only."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


@functools.cache
def is_jax_on_cpu() -> bool:
    """Returns whether JAX computes on the CPU, where XLA's convolutions have slow gradients."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"


def torch_compiles() -> bool:
    """Returns whether PyTorch's compiler reads this call, and will fuse the plain forms itself."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return torch.compiler.is_compiling()


def torch_runs_eagerly() -> bool:
    """Returns whether PyTorch runs operation by operation, where its own forms are faster."""
    return keras.backend.backend() == "torch" and not torch_compiles()
