"""Many devices on PyTorch: one process per device, connected by `DistributedDataParallel`."""

import contextlib
import functools
import gc
import multiprocessing
import os
import signal
import tempfile
import threading
import weakref
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path

import keras
import torch
from torch import distributed

from keras_dla.training.devices.devices import check_available, moving_statistics

# Far apart, because each draw of random numbers increases the seed by one.
SEEDS_APART = 1_000_003
SECONDS_TO_STOP = 10.0
# The models that train through PyTorch's wrapper, which holds the process group.
_wrapped: weakref.WeakSet[keras.Model] = weakref.WeakSet()


def launch(function: Callable, devices: int, arguments: tuple, hosts: list[str], host: int) -> None:
    """See `keras_dla.training.devices.devices.launch`."""
    if torch.cuda.is_available():
        check_available(devices, torch.cuda.device_count())
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"tcp://{hosts[0]}" if hosts else (Path(folder) / "meeting").as_uri()
        world = devices * max(1, len(hosts))
        _spawn((host * devices, world, meeting, function, arguments), devices)


def _spawn(arguments, devices):
    """Waits for the processes; their first error is raised here with its original type."""
    errors = torch.multiprocessing.get_context("spawn").SimpleQueue()
    context = torch.multiprocessing.spawn(_process, (errors, *arguments), devices, join=False)
    killed = None
    try:
        ended = False
        while not ended:
            killed = _first_killed(context)
            ended = context.join()
    except torch.multiprocessing.ProcessRaisedException as error:
        # The first of several: the end of a process causes errors in the others.
        if killed is None:
            raise (error if errors.empty() else errors.get()) from error
        raise _ended_early(killed, devices, context) from None
    except torch.multiprocessing.ProcessExitedException as error:
        number = error.error_index if killed is None else killed
        raise _ended_early(number, devices, context) from None
    finally:
        # Ctrl-C reaches them too, and each may print a message about it.
        for process in context.processes:
            process.join(SECONDS_TO_STOP)
            process.kill()


def _first_killed(context):
    """Waits until a process has ended; returns the number of one that a signal killed, if any.

    Its end causes errors in the others, which PyTorch would name instead if their number is lower.
    Only SIGABRT can itself be caused by the end of another process, through NCCL.
    """
    for sentinel in wait(list(context.sentinels)):
        context.processes[context.sentinels[sentinel]].join()
    for number, process in enumerate(context.processes):
        if (process.exitcode or 0) < 0 and process.exitcode != -signal.SIGABRT:
            return number
    return None


def _ended_early(number, devices, context):
    code = context.processes[number].exitcode
    how = f"code {code}" if code >= 0 else f"the signal {_signal_name(-code)}"
    return ChildProcessError(
        f"Process {number} of {devices} was ended by {how}, so the others are ended too; a run's "
        "folder keeps its last state."
    )


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return number


def _process(number, errors, first, world, meeting, function, arguments):
    """Runs one of the processes; `number` counts those of this machine."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(number)
    backends = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    distributed.init_process_group(backends, meeting, rank=first + number, world_size=world)
    try:
        with keras.device(f"gpu:{number}") if cuda else contextlib.nullcontext():
            function(*arguments)
    except Exception as error:
        # An error that cannot be pickled is only shown as a traceback.
        with contextlib.suppress(Exception):
            errors.put(error)
        raise
    finally:
        _end_group()


def _end_group():
    """Ends the group and its threads, which would live as long as the wrapper of a model.

    A thread that lets go of its last tensor while Python ends would abort this process. The
    wrappers, parts of cycles, go first: only PyTorch's own function can wait for such a thread.
    """
    for model in _wrapped:
        vars(model).pop("train_step", None)
    gc.collect()
    distributed.destroy_process_group()


def _end_with_parent():
    """Ends this process with its parent, which cannot end it when it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def parallel_model(model: keras.Model) -> keras.Model:
    """See `keras_dla.training.devices.devices.parallel_model`."""
    if place()[2] > 1:
        parallel = torch.nn.parallel.DistributedDataParallel(model)
        statistics = [variable.value for variable in moving_statistics(model)]
        model.train_step = functools.partial(_train_step, model, parallel, statistics)
        _wrapped.add(model)
        _draw_other_numbers(model, distributed.get_rank())
    return model


def place() -> tuple[int, int, int]:
    """Returns the number of this process, of all processes and of all devices."""
    if not distributed.is_initialized():
        return 0, 1, 1
    return distributed.get_rank(), distributed.get_world_size(), distributed.get_world_size()


def is_main_process() -> bool:
    """See `keras_dla.training.devices.devices.is_main_process`."""
    return place()[0] == 0


def broadcast(number: int) -> int:
    """See `keras_dla.training.devices.devices.broadcast`."""
    if not distributed.is_initialized():
        return number
    shared = torch.tensor(number)  # on the CPU, so that no process waits for a graphics card
    distributed.broadcast(shared, 0)
    return int(shared)


def all_gather(values: list) -> list[list]:
    """See `keras_dla.training.devices.devices.all_gather`."""
    gathered = [values] * place()[1]
    if distributed.is_initialized():
        distributed.all_gather_object(gathered, values)
    return gathered


def _train_step(model, parallel, statistics, data):
    """Keras's training step, but with the forward pass through PyTorch's wrapper.

    The metrics see the whole batch, so they are the same in every process; the same holds for the
    moving statistics of BN, which Keras stores where the wrapper does not find them.
    """
    x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
    predictions = parallel(x, training=True)
    model.zero_grad()
    loss = model.compute_loss(x, y, predictions, weight, training=True)
    model.optimizer.scale_loss(loss).backward()
    weights = model.trainable_weights
    with torch.no_grad():
        model.optimizer.apply([weight.value.grad for weight in weights], weights)
        _average(statistics)
        _track_loss(model, _of_all(loss.reshape(1)).mean(), len(keras.tree.flatten(x)[0]))
        whole = (
            None if part is None else keras.tree.map_structure(_of_all, part)
            for part in (y, predictions, weight)
        )
        return model.compute_metrics(x, *whole)


def _track_loss(model, loss, size):
    tracker = next(metric for metric in model.metrics if metric.name == "loss")
    tracker.update_state(loss, sample_weight=size)


def _average(tensors):
    if tensors:
        mean = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(mean)
        parts = (mean / distributed.get_world_size()).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def _of_all(part):
    """Returns the parts of all processes, joined."""
    parts = [torch.empty_like(part) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, part.detach().contiguous())
    return torch.cat(parts)


def _draw_other_numbers(model, rank):
    """Gives each process its own random numbers; those of the first process do not change."""
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            offset = torch.tensor([rank * SEEDS_APART, 0], device=variable.value.device)
            variable.assign(variable.value + offset)
    if rank:
        torch.manual_seed(torch.initial_seed() + rank * SEEDS_APART)
