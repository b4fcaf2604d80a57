"""Times a training step of several seeds in one program, beside that of one run (JAX).

    KERAS_BACKEND=jax python benchmarks/several_seeds.py --model dla_l_20 --seeds 5

The ratio is the time of all seeds together over that of one run: on a graphics card that one small
network leaves mostly idle, it is well below the number of seeds.
"""

import argparse
import statistics
import time

import keras
import numpy as np

from keras_dla.models import get_model, used_options
from keras_dla.training import CIFAR, compile_model
from keras_dla.training.seeds.stacked_models import StackedModels


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="dla_l_20")
    add("--seeds", type=int, default=5)
    add("--batch-size", type=int, default=CIFAR.batch_size)
    add("--steps", type=int, default=20, help="steps of a measurement")
    add("--rounds", type=int, default=3, help="measurements; the median counts")
    return parser.parse_args()


def new_model(name):
    model = get_model(
        name,
        classes=100,
        input_shape=(32, 32, 3),
        classifier_activation=None,
        data_format="channels_last",
        **used_options(name, drop_path=CIFAR.drop_path),
    )
    return compile_model(model, CIFAR, steps_per_epoch=390)


class Repeated(keras.utils.PyDataset):
    """The same batch many times."""

    def __init__(self, batch, times):
        super().__init__()
        self.batch, self.times = batch, times

    @property
    def num_batches(self):
        return self.times

    def __getitem__(self, index):
        return self.batch


def seconds(train, steps, rounds):
    """Seconds of one step; the first call, which compiles, does not count."""
    train()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        train()
        times.append((time.perf_counter() - start) / steps)
    return statistics.median(times)


def main():
    args = parse_arguments()
    if keras.backend.backend() != "jax":
        raise SystemExit("several_seeds.py: set KERAS_BACKEND=jax, only JAX trains seeds at once.")
    generator = np.random.default_rng(0)
    images = generator.normal(size=(args.batch_size, 32, 32, 3)).astype("float32")
    batch = images, generator.integers(0, 100, args.batch_size).astype("int32")
    model = new_model(args.model)
    data = Repeated(batch, args.steps)
    one = seconds(lambda: model.fit(data, verbose=0), args.steps, args.rounds)
    print(f"{args.model}, batch {args.batch_size}: one run {one:.4f} s per step", flush=True)
    stack = StackedModels([new_model(args.model) for _ in range(args.seeds)])
    batches = [tuple(np.stack([part] * args.seeds) for part in batch)] * args.steps
    many = seconds(lambda: stack.train(batches), args.steps, args.rounds)
    print(f"{args.seeds} seeds at once {many:.4f} s per step, {many / one:.2f} times one run")


if __name__ == "__main__":
    main()
