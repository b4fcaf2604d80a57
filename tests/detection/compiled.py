"""Functions of arrays, compiled where the backend compiles."""

import keras
import numpy as np
from keras import ops


def compiled(function):
    """Returns `function` from arrays to arrays, by XLA with TensorFlow and JAX, as it is on torch.

    The first axis is unknown to TensorFlow, as under `keras.Model`.
    """
    return _on_arrays(_compile(function))


def eager(function):
    """Returns `function` from arrays to arrays, operation by operation."""
    return _on_arrays(function)


def _on_arrays(function):
    def run(*arrays):
        outputs = function(*(ops.convert_to_tensor(array) for array in arrays))
        return keras.tree.map_structure(lambda x: np.array(ops.convert_to_numpy(x)), outputs)

    return run


def _compile(function):
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        return _with_unknown_batch(function)
    return function


def _with_unknown_batch(function):
    import tensorflow as tf

    compiled_functions = {}

    def run(*tensors):
        shapes = tuple((None, *x.shape[1:]) for x in tensors)
        if shapes not in compiled_functions:
            signature = [tf.TensorSpec(s, x.dtype) for s, x in zip(shapes, tensors, strict=True)]
            compiled_functions[shapes] = tf.function(
                lambda *x: function(*x), input_signature=signature, jit_compile=True
            )
        return compiled_functions[shapes](*tensors)

    return run
