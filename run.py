"""Sets up an environment and does one job in it; needs Python 3.11 or newer with pip.

python run.py quickstart        trains a DLA-ResNet on embedded pictures and draws its attention
python run.py test              all tests, on TensorFlow, JAX and PyTorch
python run.py test --backends jax --quick
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / ".venvs"
BACKENDS = ("tensorflow", "jax", "torch")
EXTRAS = {"quickstart": "jax,plot", "test": "tensorflow,jax,torch,data,plot,dev"}
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
OLDEST_KERAS = "keras==3.10.0"


def environment(job: str) -> Path:
    """Makes the environment of a job where it is missing or out of date; returns its Python."""
    folder = ENVIRONMENTS / job
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "stamp"
    if not stamp.is_file() or stamp.read_text() != requirements():
        print(f"Setting up {folder.relative_to(ROOT)} ...", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS]
        subprocess.run([*install, "--editable", f"{ROOT}[{EXTRAS[job]}]"], check=True)
        stamp.write_text(requirements())
    return python


def requirements() -> str:
    """Changes whenever what has to be installed does."""
    texts = (ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()
    return hashlib.sha256(texts).hexdigest()


def call(*command, **variables) -> None:
    print("$", *(f"{name}={value}" for name, value in variables.items()), *command, flush=True)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **quiet, **variables})


def quickstart(arguments: list[str]) -> None:
    call(environment("quickstart"), "examples/quickstart.py", *arguments, KERAS_BACKEND="jax")


def test(backends: list[str], quick: bool, arguments: list[str]) -> None:
    python = environment("test")
    call(python, "-m", "ruff", "check", ".")
    call(python, "-m", "ruff", "format", "--check", ".")
    for backend in backends:
        # A process a core: small networks gain nothing from threads.
        parallel = ("--numprocesses", "auto", "--dist", "loadfile")
        pytest = ("-m", "pytest", "--quiet", *parallel, *arguments)
        call(python, *pytest, KERAS_BACKEND=backend, OMP_NUM_THREADS="1")
    if not quick:
        oldest_keras(python, backends)
        built_package(python)


def oldest_keras(python: Path, backends: list[str]) -> None:
    """Runs the smoke tests with the lowest Keras that the metadata allows, laid over the newest."""
    overlay = ENVIRONMENTS / OLDEST_KERAS
    if not overlay.is_dir():
        pip = (python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", overlay)
        call(*pip, OLDEST_KERAS)
    for backend in backends:
        smoke = ("-m", "pytest", "--quiet", "tests/test_smoke.py")
        call(python, *smoke, KERAS_BACKEND=backend, PYTHONPATH=str(overlay))


def built_package(python: Path) -> None:
    """Builds the wheel and the sdist, and imports each from an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        call(python, "-m", "build", "--no-isolation", "--outdir", folder, ".")
        for archive in sorted(Path(folder).glob("keras_dla-*")):
            target = Path(folder) / archive.name.replace(".", "_")
            pip = (python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target)
            call(*pip, "--no-build-isolation", archive)
            # What is imported must be the archive, not the checkout.
            check = (
                "import keras_dla, pathlib; keras_dla.models.DLAResNet20();"
                f"assert pathlib.Path(keras_dla.__file__).is_relative_to({str(target)!r})"
            )
            call(python, "-c", check, KERAS_BACKEND="jax", PYTHONPATH=str(target))
            shutil.rmtree(target)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", choices=tuple(EXTRAS))
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--quick", action="store_true", help="leave out old Keras and the package")
    arguments, rest = parser.parse_known_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python may well run this file
        parser.error("needs Python 3.11 or newer")
    try:
        if arguments.job == "quickstart":
            quickstart(rest)
        else:
            test(arguments.backends, arguments.quick, rest)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
