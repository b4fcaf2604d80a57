"""The pages of the documentation, and the blocks of code in them."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.py"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Lines indented by four, as commands are outside fences.
INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Returns the fenced blocks of one language."""
    return [code for kind, code in FENCE.findall(page.read_text("utf-8")) if kind == language]


def commands(page: Path) -> list[str]:
    """Returns the shell commands of a page, without the comments behind them."""
    text = page.read_text("utf-8")
    lines = "".join(blocks(page, "sh")).splitlines() + INDENTED.findall(FENCE.sub("", text))
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def load(path: Path):
    """Imports a file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
