"""What all tests share."""

import keras
import pytest


@pytest.fixture(autouse=True, scope="module")
def release_compiled_functions():
    """Lets go of what JAX compiled for a file of tests, which would add up to gigabytes."""
    yield
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
