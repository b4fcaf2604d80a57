"""Gradients on whichever backend runs, and by differences in NumPy."""

import keras
import numpy as np


def gradients(model, inputs, cotangent, training=True):
    """Returns the output and the gradients of sum(output * cotangent) by inputs and weights."""
    backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    output, input_grad, weight_grads = backend(model, inputs, cotangent, training)
    weights = model.trainable_variables
    zeros = [np.zeros(tuple(weight.shape), "float32") for weight in weights]
    weight_grads = [
        zero if grad is None else keras.ops.convert_to_numpy(grad)
        for grad, zero in zip(weight_grads, zeros, strict=True)
    ]
    by_weight = {id(weight): grad for weight, grad in zip(weights, weight_grads, strict=True)}
    return keras.ops.convert_to_numpy(output), keras.ops.convert_to_numpy(input_grad), by_weight


def differences(function, array, cotangent, step=1e-5):
    """Returns the gradient of sum(function() * cotangent) by every entry of `array`."""
    grad = np.zeros_like(array)
    for index in np.ndindex(*array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        grad[index] = ((above - function()) * cotangent).sum() / (2 * step)
        array[index] = value
    return grad


def _tensorflow(model, inputs, cotangent, training):
    import tensorflow as tf

    x = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = model(x, training=training)
        loss = tf.reduce_sum(output * cotangent)
    weights = [weight.value for weight in model.trainable_variables]
    input_grad, weight_grads = tape.gradient(loss, [x, weights])
    return output, input_grad, weight_grads


def _jax(model, inputs, cotangent, training):
    import jax

    other = [weight.value for weight in model.non_trainable_variables]

    def loss(weights, x):
        output, _ = model.stateless_call(weights, other, x, training=training)
        return (output * cotangent).sum(), output

    weights = [weight.value for weight in model.trainable_variables]
    (weight_grads, input_grad), output = jax.grad(loss, argnums=(0, 1), has_aux=True)(
        weights, jax.numpy.asarray(inputs)
    )
    return output, input_grad, weight_grads


def _torch(model, inputs, cotangent, training):
    import torch

    x = torch.tensor(inputs, requires_grad=True)
    output = model(x, training=training)
    loss = (output * torch.tensor(cotangent)).sum()
    weights = [weight.value for weight in model.trainable_variables]
    grads = torch.autograd.grad(loss, [x, *weights], allow_unused=True)
    return output.detach(), grads[0], grads[1:]
