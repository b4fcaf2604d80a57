import importlib
import os
import subprocess
import sys

import pytest

from keras_dla.data import CocoSource, TfdsSource, cifar_dataset, load_cifar_arrays
from tests.backends import on_pytorch
from tests.data.coco_folder import write


@on_pytorch
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_importing_the_package_imports_no_tensorflow(backend):
    pytest.importorskip(backend)
    heavy = ("tensorflow", "tensorflow_datasets", "keras_cv", "pycocotools")
    program = (
        "import sys, keras_dla.data as data\n"
        "data.load_blood_cells()\n"
        "data.DetectionDataset(data.ShapesSource(2), 2, shorter_side=128, mask_size=28)[0]\n"
        f"print([module for module in {heavy} if module in sys.modules])"
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


def hide(monkeypatch, module):
    """Lets importing `module` fail."""
    real_import = importlib.import_module

    def without(name, *args):
        if name == module:
            raise ImportError(f"No module named {name!r}")
        return real_import(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)


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
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    (tmp_path / "cifar10" / "3.0.2" / "dataset_info.json").touch()
    hide(monkeypatch, module)
    expected = rf"keras_dla.data.{function.__name__} needs {package}: pip install 'keras-dla\[data"
    with pytest.raises(ImportError, match=expected):
        function("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("module", "package"), [("PIL.Image", "pillow"), ("pycocotools.mask", "pycocotools")]
)
def test_a_package_missing_for_detection_is_named(monkeypatch, tmp_path, module, package):
    annotations, images = write(tmp_path)
    source = CocoSource(annotations, images, masks=True)
    hide(monkeypatch, module)
    expected = rf"keras_dla.data.CocoSource needs {package}: pip install 'keras-dla\[detection\]'"
    with pytest.raises(ImportError, match=expected):
        source[0]


def test_a_package_missing_for_a_prepared_data_set_is_named(monkeypatch):
    pytest.importorskip("importlib_resources")
    hide(monkeypatch, "tensorflow_datasets")
    expected = r"keras_dla.data.TfdsSource needs tensorflow-datasets: pip install 'keras-dla\[data"
    with pytest.raises(ImportError, match=expected):
        TfdsSource("coco/2017", "train")
