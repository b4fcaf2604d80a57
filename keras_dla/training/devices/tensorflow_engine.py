"""Many devices on TensorFlow: a copy of the model on each, with TensorFlow's strategies."""

import functools
import json
import os
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_dla.keras_internals.private_names import build_all, replace_building
from keras_dla.training.devices.devices import check_available, moving_statistics


def launch(function: Callable, devices: int, arguments: tuple, hosts: list[str], host: int) -> None:
    """See `keras_dla.training.devices.devices.launch`."""
    if len(hosts) > 1:
        strategy = _over_machines(devices, hosts, host)
    else:
        strategy = tf.distribute.MirroredStrategy(_first_devices(devices))
    with strategy.scope():
        function(*arguments)


def parallel_model(model: keras.Model) -> keras.Model:
    """Makes a model average BN's statistics; its strategy makes everything else parallel.

    On several machines Keras has a bug (its issue 20585): it reads the parts of the first batch as
    one tensor, and averages a step's logs along an axis that they do not have.
    """
    if place()[2] > 1:
        step, statistics = model.train_step, moving_statistics(model)
        model.train_step = functools.partial(_with_average, step, statistics)
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        replace_building(model, functools.partial(_build_from_own_part, model))
        for name in ("train_step", "test_step"):
            setattr(model, name, functools.partial(_with_axis, getattr(model, name)))
    return model


def _with_average(step, statistics, data):
    logs = step(data)
    if statistics:
        variables = [variable.value for variable in statistics]
        own = [tf.convert_to_tensor(variable) for variable in variables]
        average = functools.partial(_average, variables)
        tf.distribute.get_replica_context().merge_call(average, args=(own,))
    return logs


def _average(variables, strategy, own):
    pairs = list(zip(own, variables, strict=True))
    means = strategy.extended.batch_reduce_to(tf.distribute.ReduceOp.MEAN, pairs)
    for variable, mean in zip(variables, means, strict=True):
        strategy.extended.update(variable, lambda copy, value: copy.assign(value), args=(mean,))


def _with_axis(step, data):
    return {name: tf.reshape(value, [1]) for name, value in step(data).items()}


def _build_from_own_part(model, iterator=None, data_batch=None):
    """Replaces Keras's method, with this machine's batch."""
    strategy = model.distribute_strategy
    if iterator is not None:
        _, _, batches = next(iter(iterator))
        data_batch = keras.tree.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], next(batches)
        )
    with strategy.scope():
        build_all(model, data_batch)


def place() -> tuple[int, int, int]:
    """Returns the place of this process; TensorFlow divides the batches itself."""
    return 0, 1, tf.distribute.get_strategy().num_replicas_in_sync


def is_main_process() -> bool:
    """See `keras_dla.training.devices.devices.is_main_process`."""
    resolver = tf.distribute.get_strategy().cluster_resolver
    return resolver is None or not resolver.task_id


def broadcast(number: int) -> int:
    """See `keras_dla.training.devices.devices.broadcast`."""
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return number

    def own():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.where(tf.equal(replica, 0), tf.constant(number, "int64"), 0)

    return int(strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(own), axis=None))


def all_gather(values: list) -> list[list]:
    """Returns nothing to share: only on PyTorch do processes have random numbers of their own."""
    return [values]


def _first_devices(devices):
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    available = tf.config.list_logical_devices(kind)
    check_available(devices, len(available))
    return [device.name for device in available[:devices]]


def _over_machines(devices, hosts, host):
    gpus = tf.config.list_physical_devices("GPU")
    check_available(devices, len(gpus) or 1)
    if gpus:
        tf.config.set_visible_devices(gpus[:devices], "GPU")
    task = {"type": "worker", "index": host}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": hosts}, "task": task})
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise RuntimeError(
            "`launch` over several machines must be called only once in a process, and before "
            f"TensorFlow is used, but was not ({error})."
        ) from error
