"""The training script with a network of a few layers; a script that the tests start.

python -m tests.examples.train_imagenet_on_devices [OPTIONS OF train_imagenet.py]
"""

import sys

import keras

from tests.cli.commands.train_on_devices import with_batch_norm
from tests.docs.pages import ROOT, load
from tests.training.parallel import divide_cpu

if __name__ in ("__main__", "__mp_main__"):  # the latter in the processes that PyTorch starts
    script = load(ROOT / "examples" / "train_imagenet.py")
    script.get_model = with_batch_norm
    sys.modules[script.__name__] = script  # where these processes look up what they are to do
if __name__ == "__main__":
    if keras.backend.backend() == "tensorflow":
        divide_cpu()
    script.main(sys.argv[1:])
