"""What works without a backend, and what is said where one is needed."""

import os
import subprocess
import sys

import pytest

from keras_dla import __version__
from keras_dla.utils import backends
from keras_dla.utils.names import network_names
from tests.backends import on_pytorch

pytestmark = on_pytorch

# Each line must end in one sentence, not in what Keras raises.
USES = (
    "keras_dla.layers",
    "from keras_dla import models",
    "from keras_dla.detection import FasterRCNN",
    "import keras_dla.training",
    "from keras_dla.interop.tensor_files import read_tensors",
)
PROGRAM = """
import sys
import keras_dla
print(keras_dla.__version__)
for line in sys.argv[1:]:
    try:
        exec(line)
    except ImportError as error:
        print(error)
"""


def environment(tmp_path, missing):
    """The variables of a process in which a backend's package is not installed."""
    (tmp_path / missing).mkdir()
    (tmp_path / missing / "__init__.py").write_text(
        f'raise ModuleNotFoundError("No module named {missing}")'
    )
    return {"PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))}


def run(arguments, **variables):
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | variables, capture_output=True, text=True
    )


def test_the_package_is_imported_and_every_use_is_answered_in_a_sentence():
    done = run(["-c", PROGRAM, *USES], KERAS_BACKEND="torhc")
    assert done.returncode == 0, done.stderr
    version, *sentences = done.stdout.splitlines()
    assert version == __version__
    assert len(sentences) == len(USES)
    assert set(sentences) == {
        "`KERAS_BACKEND` must name a backend that is installed here "
        f"({', '.join(backends.installed_backends())}), but is 'torhc' "
        f"(Unable to import backend : torhc): KERAS_BACKEND={backends.installed_backends()[-1]} "
        "before the command, or in a script before Keras is imported, chooses a backend."
    }


@pytest.mark.parametrize("command", ["--help", "--version", "list"])
def test_the_program_answers(command):
    done = run(["-m", "keras_dla", command], KERAS_BACKEND="torhc")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    if command == "list":
        assert done.stdout.split() == network_names()


def test_a_command_that_needs_a_backend_ends_in_a_sentence(tmp_path):
    variables = environment(tmp_path, "tensorflow") | {"KERAS_BACKEND": ""}
    done = run(["-m", "keras_dla", "summary", "dla_l_20"], KERAS_HOME=str(tmp_path), **variables)
    assert done.returncode == 2
    [building, sentence] = done.stderr.splitlines()
    assert building == "Building dla_l_20 ..."
    assert sentence.startswith("keras-dla summary: error: `KERAS_BACKEND` must name a backend")
    assert "but is not set, and Keras's default is none of them (No module named" in sentence


def test_without_any_backend_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    assert backends.backend_sentence(ImportError("No module named 'tensorflow'")) == (
        "Keras needs a backend, and none is installed: pip install 'keras-dla[torch]', "
        "'keras-dla[jax]' or 'keras-dla[tensorflow]' (No module named 'tensorflow')."
    )
