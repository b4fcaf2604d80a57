"""The pages of the documentation, and the blocks of code in them."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.py"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Lines indented by four, as commands are outside fences.
INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)


# Tabs (`=== "JAX"`) and remarks (`!!! note`) indent what they hold.
INSIDE = re.compile(r"^(?:===|!!!|\?\?\?).*\n((?: {4}.*\n|\n)*)", re.MULTILINE)


def text_of(page: Path) -> str:
    """Returns the text of a page, with what tabs and remarks hold as if it stood outside."""
    text = page.read_text("utf-8")
    return INSIDE.sub(lambda match: re.sub(r"^ {4}", "", match[1], flags=re.MULTILINE), text)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Returns the fenced blocks of one language."""
    return [code for kind, code in FENCE.findall(text_of(page)) if kind == language]


def commands(page: Path) -> list[str]:
    """Returns the shell commands of a page, without the comments behind them."""
    text = text_of(page)
    lines = "".join(blocks(page, "sh")).splitlines() + INDENTED.findall(FENCE.sub("", text))
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def load(path: Path):
    """Imports a file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
