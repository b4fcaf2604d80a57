"""Trains tiny networks on the devices it is told; a script that the tests start.

    python -m tests.training.parallel JOB FOLDER DEVICES [HOST ADDRESS ADDRESS]

Every process writes its weights, and the main one its losses.
"""

import atexit
import os
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np

from keras_dla.data import ArrayDataset
from keras_dla.models import ResNet
from keras_dla.training import (
    SGD,
    EndlessBatches,
    EpochCheckpoint,
    Progress,
    is_main_process,
    launch,
    load_last,
    local_batches,
    open_run,
    parallel_model,
    resume_fit,
    synchronize_batch_norm,
)
from keras_dla.training.devices.devices import all_gather, broadcast, process_index
from tests.backends import all_on_pytorch
from tests.training import tiny
from tests.training.experiments import Act

BATCH, STEPS = 8, 3
KEPT: list = []


def dla_network():
    """Equal to one device only with synchronised BN, on which DLA depends throughout."""
    arguments = {"classes": 3, "planes": (8,), "input_shape": (8, 8, 3)}
    model = ResNet((2,), "dla_l", data_format="channels_last", **arguments)
    return synchronize_batch_norm(model)


def network_without_bn():
    layers = keras.layers
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", data_format="channels_last")(images)
    x = layers.GlobalAveragePooling2D(data_format="channels_last")(x)
    return keras.Model(images, layers.Dense(3, activation="softmax")(x))


def batches():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH * STEPS, 8, 8, 3)).astype("uint8")
    labels = generator.integers(0, 3, BATCH * STEPS)
    return EndlessBatches(
        ArrayDataset(images, labels, batch_size=BATCH, data_format="channels_last")
    )


def initialize(model):
    """Weights that do not depend on the backend's random numbers or their order."""
    generator = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(generator.normal(0.1, 0.3, variable.shape))


def train(folder):
    for make in all_on_pytorch([dla_network, network_without_bn], 1):
        model = make()
        initialize(model)
        model.compile(
            SGD(0.05, momentum=0.9, weight_decay=1e-3),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        model = parallel_model(model)
        data = local_batches(batches())
        history = model.fit(data, epochs=2, steps_per_epoch=STEPS, shuffle=False, verbose=0).history
        values = [*history["loss"], *history["accuracy"]]
        weights = [
            keras.ops.convert_to_numpy(variable)
            for variable in model.variables
            if variable.name != "seed_generator_state"
        ]
        kind = "main" if is_main_process() else f"other-{os.getpid()}"
        np.savez(Path(folder) / f"{make.__name__}-{kind}.npz", np.array(values), *weights)


class StopError(Exception):
    pass


def stop():
    raise StopError


def resume(folder):
    """A run in one go, and one that stops inside an epoch and goes on, each process at its step."""
    whole, stopped = Path(folder) / "whole", Path(folder) / "stopped"
    run_tiny(whole)
    try:
        run_tiny(stopped, Act(1, 2, stop))
    except StopError:
        broadcast(0)  # which has written the last state by then
    model = run_tiny(stopped)
    statistics = [
        keras.ops.convert_to_numpy(variable)
        for variable in model.non_trainable_variables
        if variable.name.startswith("moving")
    ]
    np.savez(Path(folder) / f"statistics-{process_index()}.npz", *statistics)
    broadcast(0)  # the first that fails ends the others
    stop()


def train_and_resume(folder):
    train(folder)
    resume(folder)


def wait(_):
    """Says which process this is and stays, deaf to Ctrl-C as under `nohup`.

    The first waits for what the others never send, so that the end of one is an error in it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(1, f"process {process_index()} {os.getpid()}\n".encode())
    if process_index() == 0:
        all_gather([])
    time.sleep(300)


def leave(_):
    """Keeps a model, in a cycle, and says which threads there are when its process ends."""
    model = network_without_bn()
    model.compile("sgd", "sparse_categorical_crossentropy")
    KEPT.append(parallel_model(model))
    model.fit(local_batches(batches()), steps_per_epoch=1, verbose=0)
    atexit.register(say_threads)


def say_threads():
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    os.write(1, f"ends with {', '.join(sorted(names))}\n".encode())


def run_tiny(folder, *callbacks):
    """Has a BN that is not synchronised, and random numbers with a seed and without."""
    open_run(folder, {}, resume=True)
    model, progress = load_last(folder) or (tiny.new_model(epochs=2), Progress())
    resume_fit(
        parallel_model(model),
        lambda first: local_batches(tiny.Batches(first)),
        progress,
        steps_per_epoch=tiny.BATCHES,
        epochs=2,
        validation_data=tiny.VALIDATION,
        callbacks=[EpochCheckpoint(folder, progress, every_steps=1, every_seconds=60), *callbacks],
        verbose=0,
    )
    return model


def divide_cpu():
    """Makes two virtual devices of the CPU; TensorFlow asks for them before it does anything."""
    import tensorflow as tf

    cpus = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)


JOBS = {"train": train, "train_and_resume": train_and_resume, "wait": wait, "leave": leave}


def main(job, folder, devices, host=0, *hosts):
    if keras.backend.backend() == "tensorflow":
        divide_cpu()
    try:
        launch(
            JOBS[job],
            int(devices),
            (folder,),
            hosts,
            int(host),
        )
    except StopError:
        print("stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
