"""Takes the changelog and the guide for contributors into the site."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
BY_FILE = {file: page for page, file in PAGES.items()}
LINK = re.compile(r"\]\(([\w./-]+\.md)(#[\w-]+)?\)")


def on_files(files, config):
    """Adds the pages to those of the site."""
    for page, file in PAGES.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=LINK.sub(_link, text)))
    return files


def _link(match):
    target = BY_FILE.get(match[1], match[1].removeprefix("docs/"))
    return f"]({target}{match[2] or ''})"
