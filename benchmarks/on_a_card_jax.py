"""The measurements of `on_a_card.py` on JAX."""

import json
import sys

import jax
import numpy as np
from on_a_card_common import (
    PRECISIONS,
    batch_of,
    compiled_model,
    median_seconds,
    tell,
    tell_epoch,
)

from keras_dla.training.seeds.stacked_models import StackedModels


def peak_memory() -> float | None:
    statistics = jax.devices()[0].memory_stats() or {}
    peak = statistics.get("peak_bytes_in_use")
    return None if peak is None else peak / 1e9


def tell_network(name: str, precision: str, settings: dict) -> None:
    """A step and an inference as `fit` and `predict` run them: one compiled function each."""
    images, labels = map(jax.numpy.asarray, batch_of(name, settings))
    model = compiled_model(name, images, precision)
    steps = settings["steps"]
    step = median_seconds(lambda: model.train_on_batch(images, labels), lambda logs: logs, steps)
    forward = median_seconds(lambda: model.predict_on_batch(images), np.asarray, steps)
    tell(network=name, mode="compiled", precision=precision, forward=forward, step=step,
         memory=peak_memory())  # fmt: skip


def tell_seeds(name: str, settings: dict) -> None:
    batch = batch_of(name, settings)
    stack = StackedModels([compiled_model(name, batch[0]) for _ in range(settings["seeds"])])
    batches = [tuple(np.stack([part] * settings["seeds"]) for part in batch)] * settings["steps"]
    seconds = median_seconds(lambda: stack.train(batches), lambda logs: logs, 1)
    tell(network=name, mode=f"{settings['seeds']} seeds at once", precision="float32",
         step=seconds / settings["steps"], memory=peak_memory())  # fmt: skip


def main() -> None:
    settings = json.loads(sys.argv[1])
    first, *others = settings["networks"]
    small = others[0] if others else first
    for precision in PRECISIONS:
        tell_network(small, precision, settings)
    tell_seeds(small, settings)
    tell_epoch(small, settings)
    for name in settings["networks"]:
        if name != small:
            for precision in PRECISIONS:
                tell_network(name, precision, settings)


if __name__ == "__main__":
    main()
