"""`keras-dla train` on a few random images; a script that the tests start.

python -m tests.cli.commands.train_on_devices [OPTIONS OF keras-dla train]
"""

import sys

import keras

from keras_dla.cli import main
from keras_dla.layers import BatchNormalization
from keras_dla.training.experiment import data as experiment_data
from keras_dla.training.experiment import run as experiment_run
from tests.training.experiments import arrays
from tests.training.parallel import divide_cpu


def with_batch_norm(name, classes, input_shape, **_):
    """What `get_model()` may be replaced by, where BN is what matters."""
    layers = [
        keras.layers.AveragePooling2D(4),
        keras.layers.Conv2D(8, 3),
        BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(classes),
    ]
    return keras.Sequential([keras.Input(input_shape), *layers])


if __name__ in ("__main__", "__mp_main__"):  # the latter in the processes that PyTorch starts
    experiment_data.load_cifar_arrays = arrays
    experiment_run.get_model = with_batch_norm
if __name__ == "__main__":
    if keras.backend.backend() == "tensorflow":
        divide_cpu()
    sys.exit(main(["train", *sys.argv[1:]]))
