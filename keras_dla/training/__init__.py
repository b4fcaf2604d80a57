"""Training as in the paper: the optimizer, the schedule, the recipe, and runs that resume."""

from keras_dla.training.allocator import keep_freed_memory
from keras_dla.training.checkpoints import EpochCheckpoint, EpochPart, Progress, load_last
from keras_dla.training.devices import (
    is_main_process,
    launch,
    local_batches,
    parallel_model,
    synchronize_batch_norm,
)
from keras_dla.training.divergence import DivergenceError, StopAtDivergence
from keras_dla.training.endless import EndlessBatches
from keras_dla.training.event_files import EventFiles
from keras_dla.training.experiment import Experiment, read_experiment, write_experiment
from keras_dla.training.experiment_run import (
    ExperimentRun,
    prepare_experiment,
    run_experiment,
)
from keras_dla.training.experiment_seeds import run_seeds
from keras_dla.training.fitting import fit_rest
from keras_dla.training.metrics import TopKAccuracy
from keras_dla.training.recipes import CIFAR, DETECTION, IMAGENET, Recipe, compile_model
from keras_dla.training.results import Result, is_finished, read_result
from keras_dla.training.runs import open_run
from keras_dla.training.schedules import MultiStepDecay
from keras_dla.training.several_seeds import SeedRun, evaluate_seeds, train_seeds
from keras_dla.training.sgd import SGD

__all__ = [
    "CIFAR",
    "DETECTION",
    "IMAGENET",
    "SGD",
    "DivergenceError",
    "EndlessBatches",
    "EpochCheckpoint",
    "EpochPart",
    "EventFiles",
    "Experiment",
    "ExperimentRun",
    "MultiStepDecay",
    "Progress",
    "Recipe",
    "Result",
    "SeedRun",
    "StopAtDivergence",
    "TopKAccuracy",
    "compile_model",
    "evaluate_seeds",
    "fit_rest",
    "is_finished",
    "is_main_process",
    "keep_freed_memory",
    "launch",
    "load_last",
    "local_batches",
    "open_run",
    "parallel_model",
    "prepare_experiment",
    "read_experiment",
    "read_result",
    "run_experiment",
    "run_seeds",
    "synchronize_batch_norm",
    "train_seeds",
    "write_experiment",
]
