"""Shows the files of the project on the site, and links to them wherever a page names one."""

import importlib
import re
from pathlib import Path

from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("keras_dla", "tests", "examples", "benchmarks", "docs/pictures", "docs/site")
ROOMS = ("analysis", "data", "detection", "interop", "layers", "models", "training")
# A path or public name in backticks; what a link already holds is left alone.
CODE = re.compile(r"(?<!\[)`([\w./-]+)`(?!\])")
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def sources() -> list[str]:
    """Returns the paths of all files that are shown."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


SHOWN = set(sources())
PUBLIC = {
    f"keras_dla.{room}.{name}"
    for room in ROOMS
    for name in importlib.import_module(f"keras_dla.{room}").__all__
}


def on_files(files, config):
    """Adds a page for every file."""
    for path in SHOWN:
        files.append(File.generated(config, f"source/{path}.html", content=to_html(path)))
    return files


def to_html(path: str) -> str:
    """Returns a file with its lines numbered and coloured."""
    formatter = HtmlFormatter(
        full=True, title=path, linenos="inline", lineanchors="line", style="github-dark"
    )
    text = (ROOT / path).read_text(encoding="utf-8")
    html = highlight(text, get_lexer_for_filename(path), formatter)
    phone = '<meta name="viewport" content="width=device-width"><style>pre{overflow:auto}</style>'
    return html.replace("<head>", f"<head>{phone}", 1)


def on_page_markdown(markdown, page, config, files):
    """Makes links of the files and public names that the text of a page has in backticks."""

    def link(match):
        name = match[1]
        if name in SHOWN:
            # Paths break at their slashes. What is no code any more must not become italic.
            text = name.replace("_", "&#95;").replace("/", "/<wbr>")
            url = get_relative_url(f"source/{name}.html", page.file.src_uri)
            return f"[<code>{text}</code>]({url})"
        return f"[`{name}`][{name}]" if name in PUBLIC else match[0]

    parts = FENCE.split(markdown)
    parts[::2] = [CODE.sub(link, text) for text in parts[::2]]
    return "".join(parts)
