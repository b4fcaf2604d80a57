"""Writes the sections of Keras's docstrings as Markdown."""

import re
import textwrap

import griffe

# An example is the last section. The others end where a line is not indented.
EXAMPLE = re.compile(r"^Example:\n(.*)", re.MULTILINE | re.DOTALL)
SECTION = re.compile(
    r"^(Args|Call arguments|Attributes|Returns|Raises):\n((?: .*\n?|\n(?= ))+)", re.MULTILINE
)
ENTRY = re.compile(r"^(\*{0,2}\w+): ", re.MULTILINE)


def to_markdown(docstring: str) -> str:
    """Returns the docstring with its sections as titles, lists and blocks of code."""
    return SECTION.sub(_section, EXAMPLE.sub(_example, docstring))


def _section(match: re.Match) -> str:
    title, text = match[1], textwrap.dedent(match[2]).strip()
    if title != "Returns":
        text = ENTRY.sub(r"- `\1`: ", text)
    return f"**{title}:**\n\n{text}\n"


def _example(match: re.Match) -> str:
    code = textwrap.dedent(match[1].strip("\n")).strip()
    language = "pycon" if ">>>" in code else "python"
    return f"**Example:**\n\n```{language}\n{code}\n```\n"


class KerasDocstrings(griffe.Extension):
    """Rewrites the docstring of every object that is collected."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        """Rewrites the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = to_markdown(obj.docstring.value)
