"""Training on two devices is training on one with the whole batch, on two machines too."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dla.data import DeviceArrayDataset
from keras_dla.layers import BatchNormalization
from keras_dla.training import (
    is_main_process,
    launch,
    load_last,
    local_batches,
    parallel_model,
    synchronize_batch_norm,
)
from keras_dla.training.devices.sharded_batches import LocalBatches, Place, local_part
from tests.backends import all_on_pytorch
from tests.training.checkpoints.test_epoch_checkpoint import assert_same_run
from tests.training.parallel import batches, train

ROOT = Path(__file__).resolve().parents[3]
# A network that depends on synchronised BN shows what one without any does.
NETWORKS = all_on_pytorch(["dla_network", "network_without_bn"], 1)
BACKEND = keras.backend.backend()
INDIVISIBLE = "including test batches, must be divisible by the 3 devices, but one has"


def start(folder, devices, *others, job="train", **variables):
    folder.mkdir(exist_ok=True)
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=2"]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.parallel", job, folder, str(devices), *others],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": " ".join(flags)} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(processes):
    """Returns what the last one printed."""
    try:
        for process in processes:
            output, _ = process.communicate(timeout=1200)  # on a machine that is busy
            assert process.returncode == 0, output[-3000:]
        return output
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The folder of what one device computes."""
    folder = tmp_path_factory.mktemp("one")
    train(folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of what two devices compute, and what they print."""
    folder = tmp_path_factory.mktemp("two")
    # On some processors TensorFlow computes the same twice only when it is told to.
    flags = {"TF_DETERMINISTIC_OPS": "1"}
    return folder, wait_for([start(folder, 2, job="train_and_resume", **flags)])


def arrays(path):
    with np.load(path) as archive:
        return [archive[name] for name in archive.files]


def assert_equal_runs(folder, one, processes):
    for network in NETWORKS:
        expected = arrays(one / f"{network}-main.npz")
        files = sorted(folder.glob(f"{network}-*.npz"))
        assert len(files) == processes
        runs = [arrays(path) for path in files]
        for run in runs:
            np.testing.assert_allclose(run[0], expected[0], rtol=1e-5)  # losses, accuracies
            for found, array in zip(run[1:], expected[1:], strict=True):
                largest = np.abs(array).max(initial=1e-6)
                np.testing.assert_allclose(found, array, rtol=0, atol=1e-5 * largest)
        for found, array in zip(runs[-1], runs[0], strict=True):
            np.testing.assert_array_equal(found, array)


def test_two_devices(one, two):
    assert_equal_runs(two[0], one, processes=2 if BACKEND == "torch" else 1)


def test_two_machines(one, tmp_path):
    with socket.socket() as first, socket.socket() as second:
        hosts = []
        for chosen in (first, second):
            chosen.bind(("127.0.0.1", 0))
            hosts.append(f"127.0.0.1:{chosen.getsockname()[1]}")
    wait_for([start(tmp_path, 1, str(host), *hosts) for host in (0, 1)])
    assert_equal_runs(tmp_path, one, processes=2)


@pytest.mark.skipif(BACKEND != "torch", reason="only PyTorch has a process per device")
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux names its threads")
def test_a_group_has_ended_before_its_process(tmp_path):
    """One of its threads that lets go of a tensor while Python ends would abort the process."""
    printed = wait_for([start(tmp_path, 2, job="leave")])
    assert printed.count("ends with") == 2
    assert "gloo" not in printed


def test_a_run_goes_on_bit_for_bit(two):
    """The random numbers of each process included, and the statistics of a BN of their own."""
    folder, printed = two
    assert printed.endswith("stopped\n")  # an error in a process is that error where it began
    assert load_last(folder / "stopped")[1].epochs == 2
    assert_same_run(folder / "stopped", folder / "whole")
    first, *others = (arrays(path) for path in sorted(folder.glob("statistics-*.npz")))
    assert len(first) == 2
    assert len(others) == (BACKEND == "torch")
    for other in others:
        for found, expected in zip(other, first, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_one_device_needs_no_engine():
    called = []
    launch(lambda *arguments: called.append(arguments), arguments=(1, 2))
    assert called == [(1, 2)]
    assert is_main_process()
    dataset = batches()
    assert local_batches(dataset) is dataset


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"devices": 0}, "`devices` must be an integer of at least 1, but is 0"),
        ({"hosts": ["here"]}, "`hosts` must have an 'address:port' for every machine, .*'here'"),
        ({"hosts": ["a:1", "a:1"]}, "`hosts` must be different from each other"),
        ({"hosts": ["a:1", "b:1"], "host": 2}, "`host` must be an integer from 0 to 1, but is 2"),
        ({"host": 1}, "`host` must be an integer from 0 to 0, but is 1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        launch(print, **arguments)


def test_no_memory_is_a_sentence():
    def fill():
        raise RuntimeError("RESOURCE_EXHAUSTED: failed to allocate 8 GB")

    with pytest.raises(MemoryError, match="There is not enough memory: smaller images or b"):
        launch(fill)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch takes CPU processes, as many as one asks")
def test_too_many_devices_are_refused():
    with pytest.raises(ValueError, match=rf"`devices` must be at most \d+, .* {BACKEND} sees here"):
        launch(print, devices=1000)


def test_a_model_must_be_compiled():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="must be compiled, but is not"):
        parallel_model(model)


def test_a_process_takes_its_part_of_every_batch():
    dataset = batches()
    parts = [LocalBatches(dataset, Place(part, parts=2, devices=4))[1] for part in (0, 1)]
    assert_halves(parts, dataset[1])
    with pytest.raises(ValueError, match=f"{INDIVISIBLE} 8 entries"):
        LocalBatches(dataset, Place(0, parts=3, devices=3))[0]


def test_tensors_on_the_device_stay_there():
    images, labels = np.zeros((8, 8, 8, 3), "uint8"), np.arange(8)
    dataset = DeviceArrayDataset(images, labels, batch_size=8)
    parts = [LocalBatches(dataset, Place(part, parts=2, devices=2))[0] for part in (0, 1)]
    assert {type(array) for part in parts for array in part} == {type(dataset[0][0])}
    assert_halves(parts, dataset[0])


def assert_halves(parts, whole):
    for array, *halves in zip(whole, *parts, strict=True):
        halves, array = ([np.asarray(x) for x in halves], np.asarray(array))
        assert [len(half) for half in halves] == [len(array) / 2] * 2
        np.testing.assert_array_equal(np.concatenate(halves), array)


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_tf_data_is_divided_too(drop_remainder):
    tf = pytest.importorskip("tensorflow")
    arrays = np.arange(12 * 5).reshape(12, 5), np.arange(12)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).batch(8, drop_remainder)
    parts = [list(local_part(dataset, Place(part, parts=2, devices=4))) for part in (0, 1)]
    if BACKEND == "tensorflow":  # whose strategies do it
        np.testing.assert_array_equal(parts[0][0][1], np.arange(8))
        return
    for halves, batch in zip(zip(*parts, strict=True), dataset, strict=True):
        assert_halves(halves, batch)
    error = ValueError if drop_remainder else tf.errors.InvalidArgumentError
    with pytest.raises(error, match=INDIVISIBLE):
        list(local_part(dataset, Place(0, parts=3, devices=3)))


def test_synchronised_bn_is_saved_and_equals_the_other_on_one_device(tmp_path):
    layers = [BatchNormalization("channels_last", name=name) for name in ("whole", "own")]
    x = np.random.default_rng(0).normal(2, 3, (4, 3, 2, 5)).astype("float32")
    models = [keras.Sequential([keras.Input(x.shape[1:]), layer]) for layer in layers]
    synchronize_batch_norm(models[0])
    assert [layer.get_config()["synchronized"] for layer in layers] == [True, False]
    found, expected = (keras.ops.convert_to_numpy(model(x, training=True)) for model in models)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for mine, theirs in zip(*(layer.get_weights() for layer in layers), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)
    models[0].save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == layers[0].get_config()


@pytest.mark.skipif(BACKEND != "torch", reason="only PyTorch has a process for each device")
@pytest.mark.parametrize("killed", ["main", "worker"])
def test_no_process_outlives_the_others(tmp_path, killed):
    main = start(tmp_path, 2, job="wait")
    try:
        # In any order: "process NUMBER PID".
        workers = dict(main.stdout.readline().split()[-2:] for _ in range(2))
        if killed == "main":
            main.kill()
        else:  # seen only when process 0, whose number is lower, has ended with an error too
            main.send_signal(signal.SIGSTOP)
            os.kill(int(workers["1"]), signal.SIGKILL)
            time.sleep(3)
            main.send_signal(signal.SIGCONT)
        output, _ = main.communicate(timeout=120)  # its workers have the same pipe
    finally:
        main.kill()
    if killed == "worker":
        assert "Process 1 of 2 was ended by the signal SIGKILL, so the others are" in output


@pytest.mark.skipif(BACKEND != "jax", reason="on JAX one program has all devices")
def test_a_test_batch_that_cannot_be_divided_is_named(monkeypatch):
    from keras_dla.training.devices.jax_engine import _DataParallel

    layout = _DataParallel(devices=keras.distribution.list_devices())
    monkeypatch.setattr(_DataParallel, "num_model_replicas", 3)
    with pytest.raises(ValueError, match=f"{INDIVISIBLE} 7 entries"):
        layout.get_data_layout((7, 8, 8, 3))


@pytest.mark.skipif(BACKEND != "torch", reason="only on PyTorch does Keras's own BN lack it")
def test_a_bn_that_cannot_be_synchronised_is_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(name="theirs")])
    with pytest.raises(ValueError, match=r"theirs' must be a keras_dla\.layers\.Batch"):
        synchronize_batch_norm(model)


@pytest.mark.skipif(BACKEND != "torch", reason="only PyTorch draws in several processes")
def test_processes_draw_other_numbers():
    import torch

    from keras_dla.training.devices.torch_engine import SEEDS_APART, _draw_other_numbers

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5, seed=3)])
    before = torch.get_rng_state()
    seeds = {}
    for rank in (0, 2):
        torch.manual_seed(5)
        _draw_other_numbers(model, rank)
        (state,) = model.non_trainable_variables
        seeds[rank] = keras.ops.convert_to_numpy(state).tolist(), torch.initial_seed()
    torch.set_rng_state(before)
    assert seeds == {0: ([3, 0], 5), 2: ([3 + 2 * SEEDS_APART, 0], 5 + 2 * SEEDS_APART)}
