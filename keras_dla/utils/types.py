"""Type names for signatures, for types that Keras has no public name for."""

from typing import Any, TypeAlias

# A tensor of the active backend, or anything that it converts to one.
Tensor: TypeAlias = Any
# Nested lists, tuples and dictionaries of tensors.
Nest: TypeAlias = Any
