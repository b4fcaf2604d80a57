"""Errors as one sentence for the user at a terminal."""

import re
from collections.abc import Mapping

from keras_dla.utils.out_of_memory import SENTENCE, is_out_of_memory


class CommandError(Exception):
    """An error whose message is one sentence about what the user gave."""


def as_sentence(error: BaseException, typed: Mapping[str, str] | None = None) -> str:
    """Returns the message of an error on one line.

    Args:
        error: exception.
        typed: mapping, what the user types for a name of the library; names that are not in it stay
            as they are. Defaults to `None`.

    Example:
    >>> as_sentence(ValueError("`epochs` must be an integer, but is 'x'."), {"epochs": "--epochs"})
    "`--epochs` must be an integer, but is 'x'."
    """
    if is_out_of_memory(error):
        return SENTENCE
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{name}."
    sentence = " ".join(str(error).split()) or f"{type(error).__name__}."
    return in_typed_names(sentence, typed or {})


def in_typed_names(sentence: str, typed: Mapping[str, str]) -> str:
    """Returns a sentence with the names of arguments as the user typed them.

    Args:
        sentence: string, with names between backticks.
        typed: mapping, such as `{"batch_size": "--batch-size"}`.

    Example:
    >>> in_typed_names("`number` must be 1, but is 2.", {"number": "TABLE"})
    'TABLE must be 1, but is 2.'
    """

    def replace(found: re.Match[str]) -> str:
        name = typed.get(found[1])
        if name is None:
            return found[0]
        return f"`{name}`" if name.startswith("-") else name

    return re.sub(r"`(\w+)`", replace, sentence)
