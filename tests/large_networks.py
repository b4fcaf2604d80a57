"""Which of the large networks a backend builds."""

import keras
import pytest

counted_on_pytorch = pytest.mark.skipif(
    keras.backend.backend() != "torch",
    reason="PyTorch counts the networks for ImageNet; every backend counts those for CIFAR",
)


def counted_here(cases: list, elsewhere: int) -> list:
    """Returns all cases on PyTorch, which builds the fastest, and so many on the other backends.

    The layers' weights do not depend on the backend, as the small networks of every kind show.
    """
    return cases if keras.backend.backend() == "torch" else cases[:elsewhere]
