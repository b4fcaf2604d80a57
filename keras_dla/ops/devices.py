"""What the backend and its device can do; the layers ask only here."""

import functools

import keras

if keras.backend.backend() == "torch":
    import torch
    from torch.autograd import forward_ad
else:
    torch = None


@functools.cache
def is_tensorflow_on_cpu() -> bool:
    """Returns whether TensorFlow runs without a GPU, where it only convolves channels-last maps."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


@functools.cache
def is_jax_on_cpu() -> bool:
    """Returns whether JAX runs on the CPU, where the gradients of XLA's convolutions are slow."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"


def torch_compiles() -> bool:
    """Returns whether PyTorch's compiler traces this call and will fuse the plain forms itself."""
    return torch is not None and torch.compiler.is_compiling()


def torch_runs_eagerly() -> bool:
    """Returns whether PyTorch runs operation by operation, where its own forms are faster."""
    return torch is not None and not torch.compiler.is_compiling()


def torch_only_infers() -> bool:
    """Returns whether PyTorch runs operation by operation, and neither records nor transforms."""
    if torch is None or torch.is_grad_enabled():
        return False
    return not (torch.compiler.is_compiling() or torch.jit.is_tracing() or _torch_transforms())


def _torch_transforms():
    """Whether `torch.func` or forward mode is at work; yes where PyTorch does not tell."""
    active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return active is None or active() or getattr(forward_ad, "_current_level", 0) >= 0


def torch_recomputes() -> bool:
    """Returns whether PyTorch is in a backward pass, where layers are only recomputed."""
    if not torch_runs_eagerly():
        return False
    # PyTorch's own checkpointing asks this way too. Without this name, statistics are updated
    # twice.
    task = getattr(torch._C, "_current_graph_task_id", None)
    return task is not None and task() >= 0
