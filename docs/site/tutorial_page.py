"""Makes the page of the tutorial from `tutorial.py`, whose cells begin with `# %%`."""

import re
from pathlib import Path

from mkdocs.structure.files import File

CELL = re.compile(r"^# %%(?: \[(markdown)\])?\n", re.MULTILINE)


def on_files(files, config):
    """Adds the page to those of the site."""
    source = Path(config.docs_dir, "tutorial.py").read_text(encoding="utf-8")
    files.append(File.generated(config, "tutorial.md", content=to_markdown(source)))
    return files


def to_markdown(source: str) -> str:
    """Returns the cells of a notebook-style script as one page."""
    _, *cells = CELL.split(source)
    return "\n".join(_cell(kind, text) for kind, text in zip(cells[::2], cells[1::2], strict=True))


def _cell(kind, text):
    if kind != "markdown":
        return f"```python\n{text.strip()}\n```\n"
    return re.sub(r"^# ?", "", text, flags=re.MULTILINE)
