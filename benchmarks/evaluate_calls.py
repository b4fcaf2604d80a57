"""What each call of `evaluate` leaves in memory, by the kind of data.

    KERAS_BACKEND=tensorflow python benchmarks/evaluate_calls.py

Prints how much resident memory a call adds: of a data set in Python (`keras.utils.PyDataset`) and
of the same batches as a `tf.data.Dataset`. Linux only.
"""

import argparse
import gc
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

BATCHES, BATCH, CLASSES = 2, 4, 3
WARM_UP = 40  # calls before the first look, in which memory is still laid out


class InPython(keras.utils.PyDataset):
    """The same batch, again and again."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return BATCHES

    def __getitem__(self, index):
        return self.batch


def resident() -> int:
    """Returns the memory of this process in bytes."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def kilobytes_per_call(model, data, calls):
    for _ in range(WARM_UP):
        model.evaluate(data, verbose=0)
    before = resident()
    for _ in range(calls):
        model.evaluate(data, verbose=0)
    return (resident() - before) / calls / 1e3


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    layers = [keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    batch = np.zeros((BATCH, 8, 8, 3), "float32"), np.zeros(BATCH, "int64")
    kinds = {
        "PyDataset": InPython(batch),
        "tf.data.Dataset": tf.data.Dataset.from_tensors(batch).repeat(BATCHES),
    }
    for name, data in kinds.items():
        per_call = kilobytes_per_call(model, data, calls)
        print(f"{keras.backend.backend()}, {name}: {per_call:.1f} kB per call of evaluate")


if __name__ == "__main__":
    main()
