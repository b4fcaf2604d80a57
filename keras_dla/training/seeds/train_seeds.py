"""Trains several seeds of one network in one program on JAX, such as the paper's five runs."""

import dataclasses
import functools
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence

import keras

from keras_dla.keras_internals.without_tensorflow import without_tensorflow
from keras_dla.training.checkpoints.divergence import DivergenceError
from keras_dla.training.random_seed import set_random_seed
from keras_dla.training.run_folder.disk_space import check_writable
from keras_dla.training.run_folder.folder import open_run
from keras_dla.training.seeds.compile_settings import compiled_settings
from keras_dla.training.seeds.stacked_batches import batches_of, stacked_batches
from keras_dla.training.seeds.stacked_models import StackedModels
from keras_dla.training.seeds.state_file import load_seeds, save_seeds
from keras_dla.utils.csv_table import write_log
from keras_dla.utils.files import replacing
from keras_dla.utils.folder_lock import check_lock
from keras_dla.utils.validation import check_positive_integer

STATE = "seeds.npz"


@dataclasses.dataclass
class SeedRun:
    """The result of `train_seeds()` for one seed.

    Args:
        seed: integer, the seed.
        model: the compiled model, with its trained weights and its optimizer's state.
        history: one dictionary per epoch: `epoch` (from 1), `learning_rate`, the logs of `fit()`,
            and `seconds`, the time of all seeds together.

    Example:
    >>> import keras
    >>> from keras_dla.training import SeedRun
    >>> run = SeedRun(0, keras.Sequential([keras.layers.Dense(1)]), [{"epoch": 1, "loss": 0.5}])
    >>> run.history[-1]["loss"]
    0.5
    """

    seed: int
    model: keras.Model
    history: list[dict]


def train_seeds(
    make_model: Callable[[], keras.Model],
    seeds: Sequence[int],
    data: Callable[[int, int], Iterable],
    epochs: int,
    steps_per_epoch: int | None = None,
    validation_data: Iterable | None = None,
    folder: str | os.PathLike | None = None,
    on_epoch: Callable[[list[dict]], None] | None = None,
    settings: dict | None = None,
) -> list[SeedRun]:
    """Trains one network from several seeds at once, with the JAX backend.

    All seeds take each step together, in one program made by `jax.vmap`: small networks leave most
    of a graphics card idle, so that several take little longer than one. Every seed has its own
    initial weights, data, drop paths and batch statistics. Its result is that of
    `keras.utils.set_random_seed(seed)`, `make_model()` and `fit()` alone, up to rounding.

    With a `folder`, the state of all seeds is saved in it after every epoch, in one file that is
    replaced in one step, and the same call, possibly with more epochs, continues from there. The
    folder gets a table (`seed-0.csv`) and at the end a model file (`seed-0.keras`) for every seed.
    Its `settings.json` contains the seeds, the optimizer, the loss and the entries of `settings`: a
    call that differs in one of them is refused.

    Args:
        make_model: function without arguments that returns a new compiled model.
        seeds: different integers, at least 0.
        data: function of the seed and the epoch (from 0) that returns the batches of this epoch: a
            `keras.utils.PyDataset` such as `keras_dla.data.ArrayDataset`, or any other iterable of
            batches `(x, y)` or `(x, y, sample_weight)`. The seeds' batches must have equal shapes.
        epochs: integer, the number of epochs to reach.
        steps_per_epoch: integer, the number of batches of `data` per epoch; by default all of them.
        validation_data: batches for all seeds, read again after every epoch, or `None`; defaults to
            None.
        folder: path of a folder in which the state is saved and from which it is resumed, or
            `None`; defaults to None.
        on_epoch: function that is called after every epoch with the newest entries of the
            histories, one per seed, for example to print them; defaults to None.
        settings: dictionary of JSON values that also define the runs, such as the names of the
            network and the data set; they are compared when runs are resumed; defaults to None.

    Returns:
        A `SeedRun` per seed, in the order of `seeds`.

    Raises:
        ValueError: when an argument is not as described above, the models are not compiled or not
            alike, or the folder contains other seeds, another recipe or another network.
        OSError: when the folder cannot be written to, contains other files, or is used by another
            process.
        RuntimeError: when the backend is not JAX.
        DivergenceError: when a loss is not finite; the folder then keeps the state of the previous
            epoch.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_dla.training import train_seeds
    >>> def make_model():
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    ...     model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ...     return model
    >>> def data(seed, epoch):
    ...     generator = np.random.default_rng((seed, epoch))
    ...     return [(generator.normal(size=(8, 4)), generator.integers(0, 2, 8)) for _ in range(3)]
    >>> if keras.backend.backend() == "jax":
    ...     runs = train_seeds(make_model, [0, 1, 2], data, epochs=2)
    ...     assert [run.seed for run in runs] == [0, 1, 2]
    ...     assert len(runs[0].history) == 2
    """
    check_jax("train_seeds")
    seeds = _checked_seeds(seeds)
    check_positive_integer("epochs", epochs)
    if steps_per_epoch is not None:
        check_positive_integer("steps_per_epoch", steps_per_epoch)
    _check_batches("validation_data", validation_data)
    if folder is not None:
        check_writable(folder)
    runs = [SeedRun(seed, _new_model(make_model, seed), []) for seed in seeds]
    stack = StackedModels([run.model for run in runs])
    path = None
    if folder is not None:
        common = {"seeds": seeds, "steps_per_epoch": steps_per_epoch, **(settings or {})}
        common |= compiled_settings(runs[0].model)
        path = open_run(folder, common, resume=True) / STATE
    if path is not None and path.exists():
        _go_on(path, stack, runs)
    for epoch in range(len(runs[0].history), epochs):
        batches = stacked_batches([data(seed, epoch) for seed in seeds], steps_per_epoch)
        look = functools.partial(_check_losses, seeds, epoch)
        rows = _epoch(stack, epoch, batches, validation_data, look)
        for run, row in zip(runs, rows, strict=True):
            run.history.append(row)
        if path is not None:
            _keep(path, stack, runs)
        if on_epoch is not None:
            on_epoch(rows)
    stack.write_back()
    if path is not None:
        _save_models(path.parent, runs)
    return runs


def evaluate_seeds(models: Sequence[keras.Model], data: Iterable) -> list[dict]:
    """Tests several models of one network at once, with the JAX backend.

    Args:
        models: compiled models with equal layers, such as those of `train_seeds()`.
        data: batches for all of them: a `keras.utils.PyDataset` or another iterable of batches `(x,
            y)` or `(x, y, sample_weight)`.

    Returns:
        A dictionary of loss and metrics per model, as `evaluate(return_dict=True)` returns.

    Raises:
        ValueError: when the models are not compiled or not alike, or there is no batch.
        RuntimeError: when the backend is not JAX.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from keras_dla.training import evaluate_seeds
    >>> models = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]) for _ in range(2)]
    >>> for model in models:
    ...     model.compile("sgd", "mse")
    >>> batches = [(np.ones((8, 4), "float32"), np.ones((8, 1), "float32"))]
    >>> if keras.backend.backend() == "jax":
    ...     assert [list(logs) for logs in evaluate_seeds(models, batches)] == [["loss"]] * 2
    """
    check_jax("evaluate_seeds")
    if not models:
        raise ValueError(f"`models` must contain at least one model, but is {models!r}.")
    _check_batches("data", data)
    return StackedModels(list(models)).test(batches_of(data))


def check_jax(name: str) -> None:
    """Raises `RuntimeError` unless the backend is JAX."""
    backend = keras.backend.backend()
    if backend != "jax":
        raise RuntimeError(
            f"`{name}` needs the JAX backend, which can train many runs in one program, but the "
            f"backend is {backend}: train the seeds one after another."
        )


def _checked_seeds(seeds):
    seeds = list(seeds)
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
    if not seeds or not whole or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must be different integers of at least 0, but are {seeds}.")
    return seeds


def _check_batches(name, data):
    if isinstance(data, tuple):
        raise ValueError(
            f"`{name}` must be an iterable of batches, such as an ArrayDataset, but is a tuple."
        )


def _new_model(make_model, seed):
    set_random_seed(seed)
    return make_model()


def _epoch(stack, epoch, batches, validation_data, look):
    """Trains and tests for one epoch; returns each seed's row of the history."""
    start = time.perf_counter()
    rate = stack.learning_rate()
    logs = stack.train(batches, look)
    tested: list[dict] = [{} for _ in logs]
    if validation_data is not None:
        tested = stack.test(batches_of(validation_data))
    seconds = round(time.perf_counter() - start, 3)
    return [
        {
            "epoch": epoch + 1,
            "learning_rate": rate,
            **trained,
            **{f"val_{name}": value for name, value in test.items()},
            "seconds": seconds,
        }
        for trained, test in zip(logs, tested, strict=True)
    ]


def _check_losses(seeds, epoch, step, logs):
    for seed, log in zip(seeds, logs, strict=True):
        if not math.isfinite(log["loss"]):
            raise DivergenceError(
                f"The loss of seed {seed} is {log['loss']} at step {step} of epoch {epoch + 1}, so "
                "training stops here."
            )


def _keep(path, stack, runs):
    check_lock(path.parent)
    save_seeds(path, stack.arrays(), {"history": [run.history for run in runs]})
    _write_logs(path.parent, runs)


def _go_on(path, stack, runs):
    arrays, record = load_seeds(path, stack.arrays())
    stack.set_arrays(arrays)
    for run, history in zip(runs, record["history"], strict=True):
        run.history.extend(history)
    _write_logs(path.parent, runs)


def _write_logs(folder, runs):
    for run in runs:
        write_log(folder / f"seed-{run.seed}.csv", run.history)


def _save_models(folder, runs):
    check_lock(folder)
    for run in runs:
        with replacing(folder / f"seed-{run.seed}.keras") as path, without_tensorflow():
            run.model.save(path)
