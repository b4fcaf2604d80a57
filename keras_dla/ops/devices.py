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


def torch_only_infers() -> bool:
    """Returns whether PyTorch runs operation by operation, and records none for a gradient."""
    if not torch_runs_eagerly():
        return False
    import torch

    return not torch.is_grad_enabled() and not torch.jit.is_tracing()


def torch_recomputes() -> bool:
    """Returns whether PyTorch is in a backward pass, where layers are only computed anew."""
    if not torch_runs_eagerly():
        return False
    import torch

    # PyTorch's own checkpoints ask so too. Without the name, statistics move twice.
    task = getattr(torch._C, "_current_graph_task_id", None)
    return task is not None and task() >= 0
