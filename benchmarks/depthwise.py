"""Times every form of the depthwise 3x3 convolution on the installed backend: forward and backward.

    KERAS_BACKEND=jax python benchmarks/depthwise.py

The forms take turns; each figure is the median of the rounds, in milliseconds. The last column
marks the form that `keras_dla` uses there.
"""

import argparse

import keras
import numpy as np
from clocks import CLOCKS, measure

from keras_dla.ops import depthwise

# The value maps of the three CIFAR stages at batch 64: height, width and channels.
MAPS = ((32, 32, 64), (16, 16, 128), (8, 8, 256))


def forms() -> dict:
    """The forms by name, each a function of x, kernel and data format."""
    return {
        "native": depthwise.depthwise_native,
        "shifted": depthwise.depthwise_shifted,
        "chosen": depthwise.depthwise_conv3x3,
    }


def steps(form, x, kernel, data_format) -> dict:
    """Functions that run the form once and wait, by the way they are compiled."""
    backend = keras.backend.backend()
    return {"tensorflow": tensorflow_steps, "jax": jax_steps, "torch": torch_steps}[backend](
        form, x, kernel, data_format
    )


def jax_steps(form, x, kernel, data_format):
    import jax

    x, kernel = jax.numpy.asarray(x), jax.numpy.asarray(kernel)
    run = jax.jit(lambda x, kernel: form(x, kernel, data_format))
    back = jax.jit(lambda x, kernel: jax.vjp(run, x, kernel)[1](x))
    return {
        "xla forward": lambda: jax.block_until_ready(run(x, kernel)),
        "xla both": lambda: jax.block_until_ready(back(x, kernel)),
    }


def tensorflow_steps(form, x, kernel, data_format):
    import tensorflow as tf

    x, kernel = tf.constant(x), tf.constant(kernel)
    compiled = {}
    for name, jit_compile in (("graph", False), ("xla", True)):

        @tf.function(jit_compile=jit_compile)
        def run(x, kernel):
            return form(x, kernel, data_format)

        @tf.function(jit_compile=jit_compile)
        def back(x, kernel):
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                output = form(x, kernel, data_format)
            return tape.gradient(output, [x, kernel], output_gradients=x)

        compiled[f"{name} forward"] = lambda run=run: run(x, kernel).numpy()
        compiled[f"{name} both"] = lambda back=back: [g.numpy() for g in back(x, kernel)]
    return compiled


def torch_steps(form, x, kernel, data_format):
    import torch

    x = torch.tensor(x, requires_grad=True)
    kernel = torch.tensor(kernel, requires_grad=True)

    def forward():
        with torch.no_grad():
            form(x, kernel, data_format)

    def both():
        torch.autograd.grad(form(x, kernel, data_format), [x, kernel], x.detach())

    return {"eager forward": forward, "eager both": both}


def milliseconds(shape, data_format, rounds, batch_size) -> dict:
    generator = np.random.default_rng(0)
    height, width, channels = shape
    order = shape if data_format == "channels_last" else (channels, height, width)
    x = generator.standard_normal((batch_size, *order), "float32")
    kernel = generator.standard_normal((3, 3, channels), "float32")
    runs = {
        (name, how): step
        for name, form in forms().items()
        for how, step in steps(form, x, kernel, data_format).items()
    }
    seconds = measure(runs, rounds, CLOCKS["wall"])
    return {key: 1000 * median for key, median in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{keras.backend.backend()}, batch {arguments.batch_size}, milliseconds")
    print("| map | data format | compiled, pass | native | shifted | chosen |")
    print("|---|---|---|---|---|---|")
    for shape in MAPS:
        for data_format in ("channels_last", "channels_first"):
            times = milliseconds(shape, data_format, arguments.rounds, arguments.batch_size)
            for how in dict.fromkeys(how for _, how in times):
                row = " | ".join(f"{times[name, how]:.1f}" for name in forms())
                print(
                    f"| {'x'.join(map(str, shape))} | {data_format} | {how} | {row} |", flush=True
                )


if __name__ == "__main__":
    main()
