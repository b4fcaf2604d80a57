"""The training script with a network of a few layers; a script that the tests start.

python -m tests.examples.train_imagenet_on_devices [OPTIONS OF train_imagenet.py]
"""

import importlib.util
import sys
from pathlib import Path

import keras

from tests.cli.train_on_devices import with_batch_norm
from tests.training.parallel import divide_cpu

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "train_imagenet.py"


def load_script():
    spec = importlib.util.spec_from_file_location("train_imagenet", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # The processes that PyTorch starts look up there what they are to do.
    sys.modules["train_imagenet"] = module
    spec.loader.exec_module(module)
    module.get_model = with_batch_norm
    return module


if __name__ in ("__main__", "__mp_main__"):  # the latter in the processes that PyTorch starts
    script = load_script()
if __name__ == "__main__":
    if keras.backend.backend() == "tensorflow":
        divide_cpu()
    script.main(sys.argv[1:])
