"""Sets up an environment and runs one job in it; needs Python 3.11 or newer with pip.

python run.py quickstart        trains a DLA-ResNet on bundled images and draws its attention
python run.py test              everything that a change must pass
python run.py test tests/layers --legs tests --backends jax
python run.py test --thorough   also what TensorFlow and JAX leave out, which takes hours

The legs of the test are: checks (style, types, the site), tests (on each backend), oldest_keras
(the smoke tests with the lowest Keras that the metadata allows), package (the built package can be
installed). Other arguments go on to pytest, or to examples/quickstart.py.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / ".venvs"
BACKENDS = ("tensorflow", "jax", "torch")
Legs = dict[str, Callable[[], None]]
LEGS = ("checks", "tests", "oldest_keras", "package")
EXTRAS = {
    "quickstart": "jax,plot",
    "test": "tensorflow,jax,torch,data,plot,detection,export,docs,dev",
}
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
OLDEST_KERAS = "keras==3.10.0"
# What the tests compile is small and runs once, so compilation is made quick, and cached on JAX.
# The newer of XLA's two kernel emitters takes twice as long to compile.
QUICK_XLA = {
    "XLA_FLAGS": (
        "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
        "--xla_cpu_parallel_codegen_split_count=1"
    ),
}
QUICK = {
    "tensorflow": QUICK_XLA,
    "jax": {
        **QUICK_XLA,
        "JAX_COMPILATION_CACHE_DIR": str(ENVIRONMENTS / "jax_cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    },
    "torch": {},
}


def environment(job: str) -> Path:
    """Creates the environment of a job if it is missing or out of date; returns its Python."""
    folder = ENVIRONMENTS / job
    python = python_of(folder)
    stamp = folder / "stamp"
    if not stamp.is_file() or stamp.read_text() != requirements():
        print(f"Setting up {folder.relative_to(ROOT)} ...", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS]
        subprocess.run([*install, "--editable", f"{ROOT}[{EXTRAS[job]}]"], check=True)
        stamp.write_text(requirements())
    return python


def python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def requirements() -> str:
    """Returns a text that changes whenever the requirements do."""
    texts = (ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()
    return hashlib.sha256(texts).hexdigest()


def call(*command, folder: Path = ROOT, whole: bool = False, **variables) -> None:
    """Runs a command and shows its output as it comes, or with `whole` when it ends."""
    line = " ".join(["$", *(f"{name}={value}" for name, value in variables.items())])
    line = " ".join([line, *(str(word) for word in command)])
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} if whole else {}
    if not whole:
        print(line, flush=True)
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    ended = subprocess.run(command, cwd=folder, env=environ, **output)
    if whole:
        print(f"{line}\n{ended.stdout}", end="", flush=True)
    ended.check_returncode()


def quickstart(arguments: list[str]) -> None:
    call(environment("quickstart"), "examples/quickstart.py", *arguments, KERAS_BACKEND="jax")


def test(legs: list[str], backends: list[str], thorough: bool, arguments: list[str]) -> None:
    python = environment("test")
    start = time.monotonic()
    seconds: dict[str, float] = {}
    try:
        side_by_side(one_process_legs(python, legs, backends), seconds)
        for backend in backends if "tests" in legs else ():
            with timed(seconds, f"tests, {backend}"):
                tests(python, backend, thorough, arguments)
    finally:
        print("\nWhere the time went:")
        for leg, spent in {**seconds, "all": time.monotonic() - start}.items():
            print(f"{spent:7.0f} s  {leg}")


def one_process_legs(python: Path, legs: list[str], backends: list[str]) -> Legs:
    """Returns the legs that use one core, by their names."""
    chosen: Legs = {}
    if "package" in legs:
        chosen["package"] = partial(built_package, python)
    if "oldest_keras" in legs:
        overlay = oldest_keras_overlay(python)
        for backend in backends:
            chosen[f"oldest Keras, {backend}"] = partial(oldest_keras, python, backend, overlay)
    if "checks" in legs:
        chosen["checks"] = partial(checks, python)
    return chosen


def side_by_side(legs: Legs, seconds: dict[str, float]) -> None:
    """Runs as many legs at once as there are cores; each prints its output when it ends."""

    def run(name: str) -> None:
        with timed(seconds, name):
            legs[name]()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # When all are done, the first error in the order of the legs is raised.
        list(pool.map(run, legs))


@contextmanager
def timed(seconds: dict[str, float], leg: str) -> Iterator[None]:
    """Records how long a leg took, even if it fails."""
    start = time.monotonic()
    try:
        yield
    finally:
        seconds[leg] = time.monotonic() - start


def checks(python: Path) -> None:
    """Runs the checks of the whole repository, which do not depend on the backend."""
    call(python, "-m", "ruff", "check", ".", whole=True)
    call(python, "-m", "ruff", "format", "--check", ".", whole=True)
    call(python, "-m", "mypy", whole=True)
    call(python, "-m", "mkdocs", "build", "--strict", "--quiet", whole=True)


def tests(python: Path, backend: str, thorough: bool, arguments: list[str]) -> None:
    # One process per core, because small networks gain nothing from threads. Files in the order of
    # `tests/conftest.py`: the longest first, so that no process ends alone.
    order = ("--dist", "loadfile", "--no-loadscope-reorder")
    parallel = ("--numprocesses", "auto", *order, "--durations", "20")
    pytest = ("-m", "pytest", "--quiet", *parallel, *arguments)
    all_tests = {"KERAS_DLA_ALL_TESTS": "1"} if thorough else {}
    call(python, *pytest, **variables_of(backend), **all_tests, OMP_NUM_THREADS="1")


def variables_of(backend: str) -> dict[str, str]:
    return {"KERAS_BACKEND": backend, **QUICK[backend]}


def oldest_keras_overlay(python: Path) -> Path:
    """Installs the lowest Keras that the metadata allows in a folder that overrides the newest."""
    overlay = ENVIRONMENTS / OLDEST_KERAS
    if not overlay.is_dir():
        pip = (python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", overlay)
        call(*pip, OLDEST_KERAS)
    return overlay


def oldest_keras(python: Path, backend: str, overlay: Path) -> None:
    """Runs the smoke tests with the Keras of the overlay."""
    smoke = ("-m", "pytest", "--quiet", "tests/test_smoke.py", "tests/keras_internals")
    variables = {**variables_of(backend), "PYTHONPATH": str(overlay), "OMP_NUM_THREADS": "1"}
    call(python, *smoke, whole=True, **variables)


def built_package(python: Path) -> None:
    """Builds the wheel and the sdist, and installs each in an empty environment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        call(python, "-m", "build", "--no-isolation", "--outdir", folder, ".", whole=True)
        empty = folder / "empty"
        venv.create(empty, with_pip=True)
        pip = (python_of(empty), "-m", "pip")
        for archive in sorted(folder.glob("keras_dla-*")):
            install = (*pip, "install", "--quiet", "--no-compile", "--constraint", CONSTRAINTS)
            call(*install, f"keras-dla[jax] @ {archive.as_uri()}", whole=True)
            check = (
                "from keras_dla import data, models; data.load_blood_cells(); models.DLAResNet20()"
            )
            # From another folder, so that the installed archive is imported.
            variables = variables_of("jax")
            call(python_of(empty), "-c", check, folder=folder, whole=True, **variables)
            call(
                python_of(empty).with_name("keras-dla"),
                "--version",
                whole=True,
                KERAS_BACKEND="jax",
            )
            call(*pip, "uninstall", "--quiet", "--yes", "keras-dla", whole=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", choices=tuple(EXTRAS), help="what to run")
    parser.add_argument(
        "--backends",
        nargs="+",
        choices=BACKENDS,
        default=BACKENDS,
        help="backends to test (default: all)",
    )
    parser.add_argument(
        "--legs", nargs="+", choices=LEGS, default=LEGS, help="parts of the test (default: all)"
    )
    parser.add_argument(
        "--thorough", action="store_true", help="every test on every backend; see tests/backends.py"
    )
    arguments, rest = parser.parse_known_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python may well run this file
        parser.error("needs Python 3.11 or newer")
    try:
        if arguments.job == "quickstart":
            quickstart(rest)
        else:
            test(arguments.legs, arguments.backends, arguments.thorough, rest)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
