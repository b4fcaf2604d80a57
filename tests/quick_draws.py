"""Initial values on JAX by NumPy.

JAX compiles a draw anew for every shape, which is a third of the time that the tests of small
networks take there. What is drawn inside a compiled function stays JAX's.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax import numpy as jnp


def use_quick_draws() -> None:
    """Has `jax.random.normal` and `uniform` draw by NumPy outside compiled functions."""
    jax.random.normal = quick(jax.random.normal, normal)
    jax.random.uniform = quick(jax.random.uniform, uniform)


def quick(draw: Callable, by_numpy: Callable) -> Callable:
    def draw_quickly(key, shape=(), dtype=float, **limits):
        if any(isinstance(value, jax.core.Tracer) for value in (key, *limits.values())):
            return draw(key, shape, dtype, **limits)
        generator = np.random.default_rng(np.asarray(key))
        return jnp.asarray(by_numpy(generator, shape, **limits), dtype)

    return draw_quickly


def normal(generator: np.random.Generator, shape: tuple) -> np.ndarray:
    return generator.normal(size=shape)


def uniform(generator, shape: tuple, minval: float = 0.0, maxval: float = 1.0) -> np.ndarray:
    return generator.uniform(minval, maxval, shape)
