"""What all tests share."""

import keras
import pytest

# So that an assertion that fails in a helper shows its values.
pytest.register_assert_rewrite(
    "tests.golden", "tests.layers.block_attentions", "tests.layers.cells"
)


@pytest.fixture(autouse=True, scope="module")
def release_compiled_functions():
    """Lets go of what JAX compiled for a file of tests, which would add up to gigabytes."""
    yield
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
