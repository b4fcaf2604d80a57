"""Functions of several tensors as models, so that their gradients can be asked for."""

import keras


class FunctionOfWeights(keras.layers.Layer):
    """Returns `function(x, *weights)` of weights that begin with `values`."""

    def __init__(self, function, values):
        super().__init__()
        self.function = function
        self.arguments = [self._constant(value) for value in values]
        self.built = True

    def _constant(self, value):
        return self.add_weight(value.shape, lambda shape, dtype: keras.ops.convert_to_tensor(value))

    def call(self, x, training=False):
        return self.function(x, *(argument.value for argument in self.arguments))
