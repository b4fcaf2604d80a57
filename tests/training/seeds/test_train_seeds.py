"""Several seeds in one program are the runs that each of them is alone."""

import csv
import dataclasses

import keras
import numpy as np
import pytest

from keras_dla.data import ArrayDataset
from keras_dla.models import ResNet
from keras_dla.training import CIFAR, DivergenceError, compile_model, evaluate_seeds, train_seeds
from keras_dla.training.seeds import stacked_models as seed_stack

on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX turns one run's program into that of many"
)
SEEDS = [0, 3, 7]
STEPS, BATCH = 2, 6
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (STEPS * BATCH, 8, 8, 3)).astype("uint8")
LABELS = GENERATOR.integers(0, 10, STEPS * BATCH)
RECIPE = dataclasses.replace(CIFAR, epochs=2, milestones=(1,), batch_size=BATCH)


def make_network():
    model = ResNet(
        (2,),
        "dla_l",
        classes=10,
        planes=(8,),
        input_shape=(8, 8, 3),
        drop_path=0.3,
        classifier_activation=None,
        data_format="channels_last",
    )
    return compile_model(model, RECIPE, STEPS)


def network_data(seed, epoch):
    options = {"batch_size": BATCH, "data_format": "channels_last"}
    return ArrayDataset(IMAGES, LABELS, seed=seed, initial_epoch=epoch, **options)


def test_data():
    return ArrayDataset(
        *(IMAGES[:8], LABELS[:8]),
        batch_size=5,
        augment=False,
        shuffle=False,
        data_format="channels_last",
    )


test_data.__test__ = False


def alone(seed):
    keras.utils.set_random_seed(seed)
    model = make_network()
    history = model.fit(
        network_data(seed, 0), epochs=2, shuffle=False, validation_data=test_data(), verbose=0
    )
    return model, history.history


def state_of(model):
    return [*model.variables, *model.optimizer.variables]


@on_jax
def test_every_seed_is_the_run_that_it_is_alone():
    """Initial weights, data, drop paths, moving statistics, velocities and metrics."""
    runs = train_seeds(make_network, SEEDS, network_data, 2, validation_data=test_data())
    for run in (runs[0], runs[2]):
        model, history = alone(run.seed)
        for found, expected in zip(state_of(run.model), state_of(model), strict=True):
            if "metric" not in expected.path:
                assert_close(found, expected)
        for name, values in history.items():
            found = [row[name] for row in run.history]
            np.testing.assert_allclose(found, values, rtol=1e-5, err_msg=name)
        assert [row["learning_rate"] for row in run.history] == [0.1, 0.01]
    first, second = (runs[n].model.get_weights()[0] for n in (0, 1))
    assert np.abs(first - second).max() > 1e-3
    tested = evaluate_seeds([run.model for run in runs], test_data())
    for run, logs in zip(runs, tested, strict=True):
        expected = {name: run.history[-1][f"val_{name}"] for name in logs}
        assert logs == pytest.approx(expected, rel=1e-6)


def assert_close(found, expected):
    found, expected = (keras.ops.convert_to_numpy(v) for v in (found, expected))
    # A bias moves by differences of probabilities, which float32 knows to 1e-7 and no better.
    largest = np.abs(expected).max(initial=1e-2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


def make_small(units=5, optimizer="adam"):
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units), layers.Dropout(0.3)])
    model.add(layers.Dense(3))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def small_data(seed, epoch):
    generator = np.random.default_rng((seed, epoch))
    while True:
        yield generator.normal(size=(8, 4)).astype("float32"), generator.integers(0, 3, 8)


def train_small(epochs, folder=None, data=small_data, make=make_small, seeds=(1, 2), **arguments):
    return train_seeds(make, seeds, data, epochs, 3, folder=folder, **arguments)


@on_jax
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    whole = train_small(4)
    train_small(2, tmp_path)
    goes_on = train_small(4, tmp_path)
    for run, expected in zip(goes_on, whole, strict=True):
        states = (map(keras.ops.convert_to_numpy, state_of(r.model)) for r in (run, expected))
        for mine, theirs in zip(*states, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert without_seconds(run.history) == without_seconds(expected.history)


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@on_jax
def test_the_folder_has_a_model_and_a_table_for_every_seed(tmp_path):
    rows = []
    runs = train_small(2, tmp_path, on_epoch=rows.extend)
    files = {
        "settings.json",
        "run.lock",
        "seeds.npz",
        *(f"seed-{seed}.{end}" for seed in (1, 2) for end in ("csv", "keras")),
    }
    assert {path.name for path in tmp_path.iterdir()} == files
    assert rows == [run.history[epoch] for epoch in range(2) for run in runs]
    for run in runs:
        loaded = keras.saving.load_model(tmp_path / f"seed-{run.seed}.keras")
        for mine, theirs in zip(loaded.get_weights(), run.model.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        with (tmp_path / f"seed-{run.seed}.csv").open() as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
        assert losses == [row["loss"] for row in run.history]


@on_jax
def test_a_folder_of_others_is_refused(tmp_path):
    train_small(1, tmp_path)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 9, 0.5)
    for sentence, changed in {
        r"seeds is \[1, 2\] there and \[1, 3\] here": {"seeds": (1, 3)},
        "images is None there and 'cats' here": {"settings": {"images": "cats"}},
        r"learning_rate is 0\.001\d* there and None here; .*decay_rate is None there and 0\.5": {
            "make": lambda: make_small(optimizer=keras.optimizers.Adam(schedule))
        },
    }.items():
        with pytest.raises(ValueError, match=f"contains another experiment: .*{sentence}"):
            train_small(2, tmp_path, **changed)
    with pytest.raises(ValueError, match="must contain the state of this network"):
        train_small(2, tmp_path, make=lambda: make_small(units=6))
    (tmp_path / "seeds.npz").write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"seeds\.npz cannot be read and may be damaged"):
        train_small(2, tmp_path)
    (tmp_path / "settings.json").unlink()
    with pytest.raises(FileExistsError, match="contains files that do not belong to a run"):
        train_small(2, tmp_path)


@on_jax
def test_a_loss_that_is_not_finite_stops_before_anything_is_kept(tmp_path, monkeypatch):
    def diverging(seed, epoch):
        for x, y in small_data(seed, epoch):
            yield (x * np.nan if (seed, epoch) == (2, 1) else x), y

    monkeypatch.setattr(seed_stack, "STEPS_BETWEEN_LOOKS", 2)
    with pytest.raises(DivergenceError, match=r"^The loss of seed 2 is nan at step 2 of epoch 2, "):
        train_small(3, tmp_path, data=diverging)
    assert len(train_small(2, tmp_path)[1].history) == 2  # from the epoch before


@on_jax
def test_data_that_do_not_fit_together_are_refused():
    def shorter(seed, epoch):
        return [next(small_data(seed, epoch))] * (4 - seed)

    def smaller(seed, epoch):
        return [(x[seed:], y[seed:]) for x, y in shorter(1, epoch)]

    def train(data, steps=None):
        train_seeds(make_small, [1, 2], data, 1, steps)

    with pytest.raises(
        ValueError, match="the same number of batches for every seed, but for one it ends"
    ):
        train(shorter)
    with pytest.raises(
        ValueError, match=r"the same shape for all seeds, but batch 0 has \[\(6, 4\)"
    ):
        train(smaller)
    with pytest.raises(ValueError, match=r"must have the 4 batches of .*, but has 3\."):
        train(lambda seed, epoch: shorter(1, epoch), 4)
    with pytest.raises(ValueError, match="`data` must have at least one batch"):
        train(lambda seed, epoch: [])


@on_jax
def test_models_that_are_not_alike_are_refused():
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must be compiled, but is not"):
        evaluate_seeds([make_small(), other], [])
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must have equal layers"):
        evaluate_seeds([make_small(), other], [])
    with pytest.raises(ValueError, match="`models` must contain at least one model"):
        evaluate_seeds([], [])


@on_jax
@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [True], [0.5]])
def test_bad_seeds_are_named(seeds):
    with pytest.raises(ValueError, match="`seeds` must be different integers of at least 0"):
        train_seeds(make_small, seeds, small_data, 1, 1)


@on_jax
def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`epochs` must be an integer of at least 1, but is 0"):
        train_small(0)
    with pytest.raises(ValueError, match="`validation_data` must be an iterable of batches"):
        train_small(1, validation_data=(IMAGES, LABELS))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX can")
def test_other_backends_are_told():
    with pytest.raises(RuntimeError, match="`train_seeds` needs the JAX backend"):
        train_small(1)
    with pytest.raises(RuntimeError, match="`evaluate_seeds` needs the JAX backend"):
        evaluate_seeds([], [])
