"""Which tests a backend runs.

What speaks of a backend's numbers runs on every backend. PyTorch, which compiles nothing, runs all
tests but the `thorough` ones, which repeat at length what a shorter one shows; TensorFlow and JAX
leave out those that take them minutes to compile and that repeat on a larger network, or through a
script, what others have shown. `KERAS_DLA_ALL_TESTS=1`, which `python run.py test --thorough` sets,
leaves out nothing.
"""

import os

import keras
import pytest

BACKEND = keras.backend.backend()
THOROUGH = os.environ.get("KERAS_DLA_ALL_TESTS") == "1"
ALL = BACKEND == "torch" or THOROUGH
REASON = "runs on another backend; with KERAS_DLA_ALL_TESTS=1 on every one"

thorough = pytest.mark.skipif(not THOROUGH, reason="runs with KERAS_DLA_ALL_TESTS=1")
on_pytorch = pytest.mark.skipif(not ALL, reason=REASON)
on_tensorflow_and_pytorch = pytest.mark.skipif(not ALL and BACKEND == "jax", reason=REASON)


def all_on_pytorch(cases, elsewhere: int) -> list:
    """Returns all cases on PyTorch, and so many, from the first on, on the other backends."""
    return [*cases] if ALL else [*cases][:elsewhere]


def draw_quickly() -> None:
    """Draws initial values by NumPy where JAX would compile each draw; see `quick_draws.py`."""
    if BACKEND == "jax" and not ALL:
        from tests.quick_draws import use_quick_draws

        use_quick_draws()
