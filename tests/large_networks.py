"""Which of the large networks a backend builds."""

import keras


def counted_here(cases: list, elsewhere: int) -> list:
    """Returns all cases on PyTorch, which builds the fastest, and so many on the other backends.

    The layers' weights do not depend on the backend, as the small networks of every kind show.
    """
    return cases if keras.backend.backend() == "torch" else cases[:elsewhere]
