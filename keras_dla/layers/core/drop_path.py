"""Drop path, or stochastic depth (Huang et al., 2016)."""

from typing import Any

import keras
from keras import ops

from keras_dla.keras_internals.private_names import is_rematerialised
from keras_dla.keras_internals.rematerialization import RematerializesTensors
from keras_dla.utils.types import Tensor
from keras_dla.utils.validation import check_rate


@keras.saving.register_keras_serializable(package="keras_dla")
class DropPath(RematerializesTensors, keras.layers.Layer):
    """Drops whole samples of its input while training, and scales up the rest.

    In layer attention it acts only on the attention output, never on the residual branch.

    Args:
        rate: float, `0 <= rate < 1`, the probability that a sample is set to zero. The other
            samples are divided by `1 - rate`.
        seed: optional integer, the seed of the random numbers; defaults to `None`.

    Call arguments:
        inputs: tensor `[batch, ...]`.
        training: boolean; in inference the input is returned unchanged.

    Returns:
        A tensor of the input's shape and the layer's compute dtype.

    Raises:
        ValueError: when `rate` is not in [0, 1), or is not 0 in a `keras.RematScope` on TensorFlow.

    Example:
    >>> import numpy as np
    >>> import keras
    >>> from keras_dla.layers import DropPath
    >>> drop_path = DropPath(0.5, seed=0)
    >>> y = drop_path(np.ones((64, 2, 2, 3), "float32"), training=True)
    >>> y = keras.ops.convert_to_numpy(y)
    >>> sorted(set(y.flatten().tolist()))
    [0.0, 2.0]
    """

    runs_by_call = True

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        check_rate("rate", rate)
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed
        self.supports_masking = True
        if rate and keras.backend.backend() == "tensorflow" and is_rematerialised(self):
            raise ValueError(
                "`rate` must be 0 in a `keras.RematScope` on tensorflow, which draws new random "
                f"numbers when it recomputes the layer, but is {rate!r}."
            )

    def build(self, input_shape: tuple) -> None:
        # Not in `__init__`: here its path has the names of the layers around it, whatever was made
        # before.
        self.seed_generator = keras.random.SeedGenerator(self.seed, name="seed_generator")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        ones = ops.ones((ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1), inputs.dtype)
        return inputs * keras.random.dropout(ones, self.rate, seed=self._next_seed())

    def _next_seed(self):
        """Returns a seed; for a recomputation, PyTorch repeats only its own random numbers."""
        if keras.backend.backend() == "torch" and is_rematerialised(self):
            import torch

            return int(torch.randint(2**31 - 1, ()))
        return self.seed_generator

    def compute_output_shape(self, input_shape: tuple) -> Any:
        return input_shape

    def flops(self, inputs: Tensor) -> dict[str, int]:
        return {}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
