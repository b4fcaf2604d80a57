"""Fixtures shared by the tests and the examples in docstrings."""

import pytest

from keras_dla.layers import registry


@pytest.fixture(autouse=True, scope="module")
def registered_interactions_are_forgotten():
    """Removes registered interactions after a test, because other tests list all names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_INTERACTIONS", registry._INTERACTIONS.copy())
        yield
