"""Shows the tutorial's notebook, with its outputs, as a page."""

from pathlib import Path

import nbformat
from mkdocs.structure.files import File
from nbconvert import MarkdownExporter


def on_files(files, config):
    """Adds the page and its pictures to those of the site."""
    notebook = nbformat.read(Path(config.docs_dir, "tutorial.ipynb"), as_version=4)
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    # Of the settings of a notebook nothing need be seen.
    text = text.replace("%matplotlib inline\n", "")
    files.append(File.generated(config, "tutorial.md", content=text))
    for name, content in resources["outputs"].items():
        files.append(File.generated(config, name, content=content))
    return files
