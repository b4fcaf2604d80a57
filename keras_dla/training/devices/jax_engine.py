"""Many devices on JAX: one program over all of them, divided by Keras's `DataParallel`."""

from collections.abc import Callable

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from keras_dla.training.devices.devices import check_available
from keras_dla.training.devices.sharded_batches import indivisible


def launch(function: Callable, devices: int, arguments: tuple, hosts: list[str], host: int) -> None:
    """See `keras_dla.training.devices.devices.launch`."""
    if len(hosts) > 1:
        # The processes communicate by gloo if there is no graphics card.
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        keras.distribution.initialize(",".join(hosts), len(hosts), host)
    check_available(
        devices,
        jax.local_device_count(),
        hint=" (CPUs: set XLA_FLAGS=--xla_force_host_platform_device_count)",
    )
    distribution = _DataParallel(
        devices=_first_of_every_process(devices),
        auto_shard_dataset=False,  # `LocalBatches` selects each process's part
    )
    with distribution.scope():
        function(*arguments)


class _DataParallel(keras.distribution.DataParallel):
    """Keras's `DataParallel`, with a clear error for a batch that cannot be divided."""

    def get_data_layout(self, data_shape):
        """Returns the layout of a batch on the devices; `ValueError` if it cannot be divided."""
        devices = self.num_model_replicas // jax.process_count()
        if data_shape[0] % devices:
            raise ValueError(indivisible(devices, data_shape[0]))
        return super().get_data_layout(data_shape)


def parallel_model(model: keras.Model) -> keras.Model:
    """Returns the model, which the distribution under which it was created makes parallel."""
    return model


def place() -> tuple[int, int, int]:
    """Returns the number of this process, of all processes and of all devices."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 0, 1, 1
    return jax.process_index(), jax.process_count(), distribution.num_model_replicas


def is_main_process() -> bool:
    """See `keras_dla.training.devices.devices.is_main_process`."""
    return jax.process_index() == 0


def broadcast(number: int) -> int:
    """See `keras_dla.training.devices.devices.broadcast`."""
    # With a single process it would still wait for the device.
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.array(number)))


def all_gather(values: list) -> list[list]:
    """Returns nothing to share: only on PyTorch do processes have random numbers of their own."""
    return [values]


def _first_of_every_process(devices):
    chosen = []
    for process in range(jax.process_count()):
        chosen += [d for d in jax.devices() if d.process_index == process][:devices]
    return chosen
