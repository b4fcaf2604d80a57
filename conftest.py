"""What the tests and the examples in docstrings share."""

import pytest

from keras_dla.layers import registry


@pytest.fixture(autouse=True, scope="module")
def registered_interactions_are_forgotten():
    """Others list the names that there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_INTERACTIONS", registry._INTERACTIONS.copy())
        yield
