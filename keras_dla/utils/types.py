"""Names for the types in signatures that Keras itself leaves open."""

from typing import Any, TypeAlias

# A tensor of whichever backend is at work, or what it converts: Keras has no public name for it.
Tensor: TypeAlias = Any
# Nested lists, tuples and dictionaries of tensors.
Nest: TypeAlias = Any
