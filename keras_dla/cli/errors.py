"""What goes wrong, in one sentence for a person at a terminal."""

import re


class CommandError(Exception):
    """An error whose message is a sentence about what the person gave."""


def as_sentence(error: BaseException) -> str:
    """Returns the message of an error on one line."""
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{name}."
    return " ".join(str(error).split())


def first_sentence(error: BaseException) -> str:
    """Returns the first sentence of a message, where the others are of no use here."""
    return re.split(r"(?<=\.)\s|\n\n", str(error).strip(), maxsplit=1)[0].replace("\n", " ")
