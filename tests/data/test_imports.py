import doctest
import importlib
import os
import pkgutil
import subprocess
import sys

import pytest

import keras_dla.data
from keras_dla.data import cifar_dataset, load_cifar_arrays


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_importing_the_package_imports_no_tensorflow(backend):
    pytest.importorskip(backend)
    program = (
        "import sys, keras_dla.data\n"
        "keras_dla.data.load_blood_cells()\n"
        "print([m for m in ('tensorflow', 'tensorflow_datasets', 'keras_cv') if m in sys.modules])"
    )
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("function", "module", "package"),
    [
        (cifar_dataset, "tensorflow", "tensorflow"),
        (cifar_dataset, "tensorflow_datasets", "tensorflow-datasets"),
        (cifar_dataset, "importlib_resources", "importlib_resources"),
        (cifar_dataset, "keras_cv", "keras-cv"),
        (load_cifar_arrays, "tensorflow_datasets", "tensorflow-datasets"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch, tmp_path, function, module, package
):
    if module != "tensorflow":
        for other in {"tensorflow", "tensorflow_datasets", "importlib_resources"} - {module}:
            pytest.importorskip(other)
    real_import = importlib.import_module

    def without(name, *args):
        if name == module:
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *args)

    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    (tmp_path / "cifar10" / "3.0.2" / "dataset_info.json").touch()
    monkeypatch.setattr(importlib, "import_module", without)
    expected = rf"keras_dla.data.{function.__name__} needs {package}: pip install 'keras-dla\[data"
    with pytest.raises(ImportError, match=expected):
        function("cifar10", data_dir=tmp_path)


MODULES = [
    module.name for module in pkgutil.iter_modules(keras_dla.data.__path__, "keras_dla.data.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
