"""Training as in the paper: the optimizer, the schedule, the recipe, and runs that resume."""

import keras_dla.utils.needs_keras as _needs_keras  # noqa: F401
from keras_dla.training.allocator import keep_freed_memory
from keras_dla.training.checkpoints.divergence import DivergenceError, StopAtDivergence
from keras_dla.training.checkpoints.endless_batches import EndlessBatches
from keras_dla.training.checkpoints.epoch_checkpoint import EpochCheckpoint
from keras_dla.training.checkpoints.progress import EpochPart, Progress, load_last
from keras_dla.training.checkpoints.resume import resume_fit
from keras_dla.training.devices.devices import (
    is_main_process,
    launch,
    local_batches,
    parallel_model,
    synchronize_batch_norm,
)
from keras_dla.training.experiment.experiment import Experiment, read_experiment, write_experiment
from keras_dla.training.experiment.pack_weights import pack_weights
from keras_dla.training.experiment.result import Result, is_finished, read_result
from keras_dla.training.experiment.run import ExperimentRun, prepare_experiment, run_experiment
from keras_dla.training.experiment.seeds import run_seeds
from keras_dla.training.random_seed import set_random_seed
from keras_dla.training.recipe.metrics import TopKAccuracy
from keras_dla.training.recipe.recipe import CIFAR, DETECTION, IMAGENET, Recipe, compile_model
from keras_dla.training.recipe.schedules import MultiStepDecay
from keras_dla.training.recipe.sgd import SGD
from keras_dla.training.run_folder.folder import open_run
from keras_dla.training.run_folder.tensorboard import EventFiles
from keras_dla.training.seeds.train_seeds import SeedRun, evaluate_seeds, train_seeds
from keras_dla.utils.deprecated_names import deprecated_names

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
    "is_finished",
    "is_main_process",
    "keep_freed_memory",
    "launch",
    "load_last",
    "local_batches",
    "open_run",
    "pack_weights",
    "parallel_model",
    "prepare_experiment",
    "read_experiment",
    "read_result",
    "resume_fit",
    "run_experiment",
    "run_seeds",
    "set_random_seed",
    "synchronize_batch_norm",
    "train_seeds",
    "write_experiment",
]

__getattr__ = deprecated_names(__name__, {"fit_rest": "resume_fit"})
