"""From the description of a run to a trained network in a folder."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_dla.data import cifar_steps_per_epoch
from keras_dla.models import get_model, used_options
from keras_dla.training.checkpoints.divergence import StopAtDivergence
from keras_dla.training.checkpoints.epoch_checkpoint import EpochCheckpoint
from keras_dla.training.checkpoints.progress import Progress, read_progress
from keras_dla.training.checkpoints.resume import resume_fit
from keras_dla.training.checkpoints.run_files import mend
from keras_dla.training.devices.devices import (
    check_batch_size,
    device_count,
    is_main_process,
    local_batches,
    parallel_model,
    synchronize_batch_norm,
)
from keras_dla.training.experiment.data import MemoryData, TensorFlowData, open_data
from keras_dla.training.experiment.experiment import Experiment
from keras_dla.training.experiment.result import Result, is_finished, read_result, settings_of
from keras_dla.training.experiment.state import load_state
from keras_dla.training.random_seed import set_random_seed
from keras_dla.training.recipe.recipe import compile_model
from keras_dla.training.run_folder.disk_space import check_disk_space, check_writable
from keras_dla.training.run_folder.folder import holds_run, open_run
from keras_dla.training.run_folder.tensorboard import EventFiles, has_tensorboard
from keras_dla.training.run_folder.versions import note_versions

SECONDS_BETWEEN_STATES = 600.0
# The arguments of the network's builder that an experiment has.
OPTIONS = ("formulation", "unit", "drop_path")


@dataclasses.dataclass
class ExperimentRun:
    """An experiment that is ready to be trained or resumed.

    Args:
        experiment: the `Experiment`, resolved.
        model: the compiled network, in the present state of the run.
        progress: the run's `Progress`; training keeps it up to date.
        data: the source of the batches.
        folder: folder of the run.

    Example:
    >>> from keras_dla.training import Experiment, prepare_experiment
    >>> run = prepare_experiment(Experiment("dla_l_20"), "runs/first")  # doctest: +SKIP
    >>> result = run.train(checkpoint_steps=100)  # doctest: +SKIP
    """

    experiment: Experiment
    model: keras.Model
    progress: Progress
    data: TensorFlowData | MemoryData
    folder: Path

    def train(
        self,
        checkpoint_steps: int | None = None,
        checkpoint_seconds: float | None = SECONDS_BETWEEN_STATES,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
    ) -> Result:
        """Trains to the end; inside `launch()`, on its devices.

        Args:
            checkpoint_steps: integer, the number of steps after which a state is saved inside an
                epoch, or `None`; defaults to None.
            checkpoint_seconds: float, the same in seconds, or `None`; defaults to
                `SECONDS_BETWEEN_STATES`.
            callbacks: further callbacks for `model.fit()`; defaults to empty.
            verbose: as in `model.fit()`; defaults to `"auto"`.

        Returns:
            The `Result`.

        Raises:
            DivergenceError: when the loss is not finite.
            OSError: when a state cannot be written.
        """
        saver = EpochCheckpoint(
            self.folder,
            self.progress,
            every_steps=checkpoint_steps,
            every_seconds=checkpoint_seconds,
        )
        watch = StopAtDivergence(steps_done=self.progress.steps)
        with precision_of(self.experiment):
            resume_fit(
                self.model,
                lambda first: local_batches(self.data.train(first)),
                self.progress,
                self.experiment.steps,
                self.experiment.epochs,
                validation_data=self.data.test,
                callbacks=[saver, watch, *self._records(), *callbacks],
                verbose=verbose if is_main_process() else 0,
            )
        # Not from the folder, to which the main process may not have written the last row yet.
        history = [{name: float(x) for name, x in row.items()} for row in self.progress.history]
        return Result(self.experiment, history)

    def _records(self):
        """Returns the callbacks of the main process, which write files."""
        if not is_main_process():
            return []
        note_versions(self.folder, self.progress.epochs)
        return [EventFiles(self.folder, self.progress)] if has_tensorboard() else []


def prepare_experiment(
    experiment: Experiment,
    folder: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    resume: bool = True,
) -> ExperimentRun:
    """Prepares a run, and checks everything that can be checked before its first step.

    The folder is created after all checks. Keras's random seed is set. In `launch()`, every process
    prepares the same experiment.

    Args:
        experiment: an `Experiment`.
        folder: path of the run's folder.
        data_dir: folder in which tensorflow-datasets has prepared the data set; without it, the
            data is downloaded; defaults to None.
        resume: boolean, whether to resume a run that is already there; defaults to True.

    Returns:
        An `ExperimentRun`.

    Raises:
        ValueError: when there is no such network, the folder contains another experiment, its last
            state is damaged, or the devices of `launch()` cannot share the batches equally.
        FileExistsError: when the folder contains a run and `resume` is false, or contains other
            files.
        OSError: when the folder cannot be written to, or the disk has no room for the checkpoints.
        ImportError: when a package that the data needs is not installed.

    Example:
    >>> from keras_dla.training import Experiment, prepare_experiment
    >>> run = prepare_experiment(Experiment("dla_l_20"), "runs/first")  # doctest: +SKIP
    >>> run.progress.epochs  # doctest: +SKIP
    0
    """
    experiment = experiment.resolved()
    settings = settings_of(experiment)
    check_devices(experiment, device_count())
    # Earlier versions took options that a network does not use, and left them unused.
    built = with_used_options(experiment) if holds_run(folder, settings) else experiment
    check_writable(folder)
    set_random_seed(experiment.seed)
    with precision_of(experiment):
        model = new_model(built)
        check_disk_space(folder, model)
        data = open_data(experiment, data_dir)
        folder = open_run(folder, settings, resume=resume)
        model, progress = load_state(experiment, folder, model)
    return ExperimentRun(experiment, parallel_model(model), progress, data, folder)


def check_devices(experiment: Experiment, devices: int, hosts: Sequence[str] = ()) -> None:
    """Raises `ValueError` unless all batches can be divided among the devices of `launch()`.

    Args:
        experiment: an `Experiment`.
        devices: integer, the number of devices of each machine.
        hosts: sequence of strings, the machines; defaults to empty, a single one.
    """
    check_batch_size(experiment.batch_size, devices, hosts)
    every = devices * max(1, len(hosts))
    images = cifar_steps_per_epoch("train", batch_size=1)
    if images % every:  # in that case the last batch of a pass is not divisible
        raise ValueError(
            f"`devices` must divide the {images} training images, because the last batch is "
            f"divided like the others, but there are {every} devices."
        )


def run_experiment(
    experiment: Experiment,
    folder: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    resume: bool = True,
    **kwargs: Any,
) -> Result:
    """Trains an experiment in a folder: starts it, resumes it, or returns a finished result.

    The folder gets `settings.json` (the resolved experiment), `versions.json`, `log.csv` (metrics
    by epoch), `last.keras`, `best.keras` and, if tensorboard is installed, the same curves in
    `tensorboard/`.

    A process that is killed loses the work since the last state, at most ten minutes. The next call
    continues to the same end: on a machine and backend with reproducible results, to the same
    weights bit for bit.

    Args:
        experiment: an `Experiment`.
        folder: path of the run's folder.
        data_dir: folder in which tensorflow-datasets has prepared the data set; without it, the
            data is downloaded; defaults to None.
        resume: boolean, whether to resume a run that is already there, or return its result;
            defaults to True.
        **kwargs: arguments of `ExperimentRun.train()`: `checkpoint_steps`, `checkpoint_seconds`,
            `callbacks`, `verbose`.

    Returns:
        The `Result`, with the metrics of every epoch.

    Raises:
        ValueError, OSError, ImportError: before training, as `prepare_experiment()` does.
        DivergenceError: when the loss is not finite.

    Example:
    >>> from keras_dla.training import Experiment, run_experiment
    >>> result = run_experiment(Experiment("dla_l_20", epochs=3), "runs/first")  # doctest: +SKIP
    >>> result.accuracy  # doctest: +SKIP
    0.5012
    """
    if resume and is_finished(experiment, folder):
        progress = read_progress(folder)
        if progress is not None:
            mend(Path(folder), progress)
        return read_result(folder)
    return prepare_experiment(experiment, folder, data_dir, resume).train(**kwargs)


def new_model(experiment: Experiment) -> keras.Model:
    """Returns the experiment's network, new and compiled."""
    channels_last = keras.config.image_data_format() == "channels_last"
    # The recipe's defaults are passed only to networks that use them.
    options = used_options(
        experiment.model, drop_path=experiment.drop_path, formulation=experiment.formulation
    )
    model = get_model(
        experiment.model,
        classes=experiment.classes,
        input_shape=(32, 32, 3) if channels_last else (3, 32, 32),
        classifier_activation=None,
        **options | _chosen_options(experiment),
    )
    if experiment.sync_batch_norm:
        synchronize_batch_norm(model)
    return compile_model(model, experiment.recipe, experiment.steps)


def with_used_options(experiment: Experiment) -> Experiment:
    """Returns the experiment with defaults for the options that its network does not use."""
    options = {name: getattr(experiment, name) for name in OPTIONS}
    used = used_options(experiment.model, **options)
    defaults = {name: getattr(Experiment, name) for name in OPTIONS}
    return dataclasses.replace(experiment, **(defaults | used))


def _chosen_options(experiment: Experiment) -> dict[str, Any]:
    """Returns the options that differ from the recipe's, which a network may refuse."""
    values = {name: getattr(experiment, name) for name in OPTIONS}
    return {n: value for n, value in values.items() if value and value != getattr(Experiment, n)}


@contextlib.contextmanager
def precision_of(experiment: Experiment) -> Iterator[None]:
    """Keras's global dtype policy, which a saved model needs again when it is loaded."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(experiment.precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
