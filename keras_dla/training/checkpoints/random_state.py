"""The state of the random numbers in training, which Keras does not store in a model file.

It has two parts: the counters of the model's `keras.random.SeedGenerator`s, and, with the PyTorch
backend, PyTorch's own generators, which Keras's dropout uses if it has no seed.
"""

import keras
import numpy as np
from keras import ops


def get_counters(model: keras.Model) -> list[list[int]]:
    """Returns the state of the model's seed generators as JSON values."""
    return [
        ops.convert_to_numpy(ops.convert_to_tensor(counter)).tolist()
        for counter in _counters(model)
    ]


def set_counters(model: keras.Model, values: list[list[int]]) -> None:
    """Restores the state that `get_counters()` returned for a model with the same layers."""
    for counter, value in zip(_counters(model), values, strict=True):
        counter.assign(np.array(value, counter.dtype))


def get_generators() -> list[str]:
    """Returns the state of this process's PyTorch generators as JSON; empty for other backends."""
    if keras.backend.backend() != "torch":
        return []
    import torch

    # Not those of all graphics cards, on each of which this process would then occupy memory.
    card = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    states = [torch.get_rng_state(), *card]
    return [state.numpy().tobytes().hex() for state in states]


def set_generators(values: list[str]) -> None:
    """Restores the state that `get_generators()` returned on the same kind of machine."""
    if keras.backend.backend() != "torch" or not values:
        return
    import torch

    cpu, *cards = (torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8) for text in values)
    torch.set_rng_state(cpu)
    if cards and torch.cuda.is_available():
        # Runs of earlier versions have the states of all graphics cards.
        torch.cuda.set_rng_state(cards[0])


def _counters(model):
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
