import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import keras_dla.analysis

MODULES = [
    module.name
    for module in pkgutil.iter_modules(keras_dla.analysis.__path__, "keras_dla.analysis.")
]


def test_importing_the_package_needs_no_matplotlib():
    """Keras itself imports it where it is installed."""
    program = "import sys; sys.modules['matplotlib'] = None; import keras_dla.analysis"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
