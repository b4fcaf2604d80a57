"""Hooks of Keras's optimizers: the update of all variables at once, and weight decay."""

from collections.abc import Sequence

import keras

from keras_dla.utils.types import Tensor


class HookedOptimizer(keras.optimizers.Optimizer):
    """An optimizer that may update all variables in one call and applies its own weight decay.

    A Keras without `_backend_update_step` calls `update_step` for each variable, with the same
    result.
    """

    def update_all(
        self,
        gradients: Sequence[Tensor],
        variables: Sequence[keras.Variable],
        learning_rate: Tensor,
    ) -> bool:
        """Updates all variables, or returns `False` to leave them to `update_step`. Here: `False`.

        Args:
            gradients: sequence of tensors, one per variable.
            variables: sequence of variables.
            learning_rate: scalar tensor.
        """
        return False

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        if not self.update_all(grads, trainable_variables, learning_rate):
            super()._backend_update_step(grads, trainable_variables, learning_rate)

    def _apply_weight_decay(self, variables):
        # Keras would shrink the weights here, outside the momentum; `update_step` adds the penalty.
        del variables
