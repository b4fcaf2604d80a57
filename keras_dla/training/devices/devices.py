"""Training on many devices with the backend's own engine, by the same functions on all backends."""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TypeVar

import keras

from keras_dla.keras_internals.private_names import all_layers, own_non_trainable_variables
from keras_dla.utils.out_of_memory import as_memory_error
from keras_dla.utils.validation import check_positive_integer

# A `keras.utils.PyDataset` or a `tf.data.Dataset`.
Batches = TypeVar("Batches")


def launch(
    function: Callable,
    devices: int = 1,
    arguments: Sequence = (),
    hosts: Sequence[str] = (),
    host: int = 0,
) -> None:
    """Calls `function(*arguments)` in a context in which `fit()` trains on many devices.

    Each step's batch is divided among the devices, the gradients are averaged, and every device
    takes the same step (data parallelism). The engine is the backend's own:
    `keras.distribution.DataParallel` on JAX, `tf.distribute.MirroredStrategy` (on several
    machines `MultiWorkerMirroredStrategy`) on TensorFlow, `DistributedDataParallel` on PyTorch.

    On JAX and TensorFlow the function is called once per machine, on PyTorch once per device, each
    time in its own process. The function creates, compiles and trains its model as on one device,
    except for two lines, which have no effect on one device:

        model = parallel_model(model)    # after compile()
        data = local_batches(data)       # batches of the whole, global size

    and it writes files only if `is_main_process()` is true.

    Call this before anything else uses the backend. With PyTorch, `function` and `arguments` are
    pickled: the function must be defined in a module, and a script must be guarded by `if __name__
        == "__main__":`.

    Args:
        function: the function to call. Its result is discarded.
        devices: integer, the number of devices to use on each machine: the first ones that the
            backend sees, or CPU processes for PyTorch without a GPU; defaults to 1.
        arguments: its arguments; defaults to empty.
        hosts: `"address:port"` of every machine, in the same order on all of them, with free ports.
            Empty for a single machine. JAX and PyTorch coordinate through the first; defaults to
            empty.
        host: integer, which of `hosts` this machine is, from 0; defaults to 0.

    Raises:
        ValueError: when an argument is not as described above, or there are fewer devices.
        MemoryError: when there is not enough memory, with the same sentence on every backend.

    Example:
    >>> from keras_dla.training import launch
    >>> launch(print, devices=1, arguments=("trained",))
    trained
    """
    check_positive_integer("devices", devices)
    hosts = _checked_hosts(hosts)
    if isinstance(host, bool) or not isinstance(host, int) or not 0 <= host < max(1, len(hosts)):
        raise ValueError(
            f"`host` must be an integer from 0 to {max(1, len(hosts)) - 1}, but is {host!r}."
        )
    with as_memory_error():
        if devices == 1 and len(hosts) <= 1:
            function(*arguments)
        else:
            engine().launch(function, devices, tuple(arguments), hosts, host)


def parallel_model(model: keras.Model) -> keras.Model:
    """Makes a compiled model's `fit()` use the devices of `launch()`.

    On PyTorch, the training step then averages gradients and logs over all processes, and each
    process drops its own paths. On PyTorch and TensorFlow, the moving statistics of BN are
    averaged, so that all devices test with the same numbers. On JAX, and outside of `launch()`,
    there is nothing to do.

    Args:
        model: a compiled and built model.

    Returns:
        The same model.

    Raises:
        ValueError: when the model is not compiled.

    Example:
    >>> import keras
    >>> from keras_dla.training import parallel_model
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> parallel_model(model) is model
    True
    """
    if not model.compiled:
        raise ValueError(f"The model {model.name!r} must be compiled, but is not.")
    return engine().parallel_model(model)


def synchronize_batch_norm(model: keras.Model) -> keras.Model:
    """Makes every BN of a model take its statistics over the batches of all devices.

    Otherwise each device normalises with its own part of the batch, as the frameworks do by
    default; with few images per device this reduces the accuracy. With it, training equals training
    on one device with the whole batch, up to rounding. On JAX this is always so, and nothing
    changes. Call it before the model trains; a saved model keeps the setting.

    Args:
        model: a model, or a layer.

    Returns:
        The same model.

    Raises:
        ValueError: when a BN cannot be synchronised on this backend: on PyTorch, a BN that is not a
            `keras_dla.layers.BatchNormalization` with both scale and center.

    Example:
    >>> import keras_dla
    >>> from keras_dla.training import synchronize_batch_norm
    >>> model = synchronize_batch_norm(keras_dla.models.ResNet(11, "dla_l", classes=3))
    >>> model.get_layer("stem_bn1").get_config()["synchronized"]
    True
    """
    from keras_dla.training.devices.synchronize_batch_norm import synchronize

    return synchronize(model)


def local_batches(dataset: Batches) -> Batches:
    """Returns the part of every batch that belongs to this process of `launch()`.

    Args:
        dataset: batches of the whole size, the same in every process: a `keras.utils.PyDataset`
            such as an `ArrayDataset` with the same seed, or a `tf.data.Dataset`. Every batch must
            be divisible by the number of all devices, the last one of an epoch too.

    Returns:
        A data set of the same kind with this process's part of each batch; outside of `launch()`,
        and with one device, `dataset` itself. On TensorFlow the batches of a `tf.data.Dataset` stay
        whole, because its strategies divide them.

    Raises:
        ValueError: when a batch that is read cannot be divided.

    Example:
    >>> import numpy as np
    >>> from keras_dla.data import ArrayDataset
    >>> from keras_dla.training import local_batches
    >>> dataset = ArrayDataset(np.zeros((4, 8, 8, 3), "uint8"), np.arange(4), batch_size=2)
    >>> local_batches(dataset) is dataset
    True
    """
    from keras_dla.training.devices.sharded_batches import Place, local_part

    place = Place(*engine().place())
    return dataset if place.devices == 1 else local_part(dataset, place)


def is_main_process() -> bool:
    """Returns whether this process of `launch()` is the one that writes files.

    Returns:
        True in exactly one of the processes, and outside of `launch()`.

    Example:
    >>> from keras_dla.training import is_main_process
    >>> is_main_process()
    True
    """
    return engine().is_main_process()


def device_count() -> int:
    """Returns the number of all devices of `launch()`; 1 outside of it."""
    return engine().place()[2]


def check_batch_size(batch_size: int, devices: int, hosts: Sequence[str] = ()) -> None:
    """Raises `ValueError` unless the devices of `launch()` can have equal parts of a batch."""
    check_positive_integer("devices", devices)
    every = devices * max(1, len(hosts))
    if batch_size % every:
        raise ValueError(
            f"`batch_size` must be divisible by the {every} devices, but is {batch_size}."
        )


def process_index() -> int:
    """Returns the number of this process of `launch()`; the main one is 0."""
    return engine().place()[0]


def broadcast(number: int) -> int:
    """Returns in every process the number that the main process passes.

    All processes must call it, at the same step.
    """
    return engine().broadcast(number)


def all_gather(values: list) -> list[list]:
    """Returns the values of all processes, in order; all must call it at the same step."""
    return engine().all_gather(values)


def engine() -> ModuleType:
    """Returns the module of the backend."""
    backend = keras.backend.backend()
    if backend not in ("jax", "tensorflow", "torch"):
        raise ValueError(f"`KERAS_BACKEND` must be tensorflow, jax or torch, but is {backend}.")
    return importlib.import_module(f"keras_dla.training.devices.{backend}_engine")


def moving_statistics(model: keras.Model) -> list[keras.Variable]:
    """Returns the variables that depend on a device's own images, such as BN's moving means.

    On PyTorch and TensorFlow they differ between devices; after every step they are averaged, and
    every device tests with the average, which is also saved in the run's folder.
    """
    return [
        variable
        for layer in all_layers(model)
        if layer.trainable
        for variable in own_non_trainable_variables(layer)
        if "float" in variable.dtype
    ]


def check_available(devices: int, available: int, hint: str = "") -> None:
    """Raises `ValueError` unless the machine has this number of devices."""
    if devices > available:
        raise ValueError(
            f"`devices` must be at most {available}, the number of devices that "
            f"{keras.backend.backend()} sees here, but is {devices}{hint}."
        )


def _checked_hosts(hosts):
    hosts = [hosts] if isinstance(hosts, str) else list(hosts)
    for address in hosts:
        name, _, port = str(address).rpartition(":")
        if not name or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ValueError(
                f"`hosts` must have an 'address:port' for every machine, with a port from 1 to "
                f"65535, but contains {address!r}."
            )
    if len(set(hosts)) < len(hosts):
        raise ValueError(f"`hosts` must be different from each other, but are {hosts}.")
    return hosts
