"""What the pages say to type works: every block of Python runs, every command names what exists."""

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import pytest

from keras_dla.cli.program import make_parser
from tests.backends import THOROUGH, on_pytorch
from tests.docs.pages import (
    DOCS,
    FENCE,
    PAGES,
    ROOT,
    TUTORIAL,
    blocks,
    commands,
    name_of,
    text_of,
)

WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
# PyTorch runs every page; these, the ones about the backends themselves, run on each.
ON_EACH_BACKEND = [ROOT / "README.md", DOCS / "how-to" / "backends.md"]
WITH_COMMANDS = [page for page in PAGES if commands(page)]
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BACKENDS = ("tensorflow", "jax", "torch")
TOOLS = ("python", "pip", "mkdocs", "keras-dla")
# Variables that are no business of Python's.
OF_THE_SYSTEM = ("LD_PRELOAD", "MALLOC_CONF", "OMP_NUM_THREADS")


def of_a_page(page):
    return pytest.param(page, marks=() if page in ON_EACH_BACKEND else on_pytorch)


@pytest.mark.parametrize("page", [of_a_page(page) for page in WITH_PYTHON], ids=name_of)
def test_python_runs(page, tmp_path, monkeypatch):
    """The blocks of a page share their names, as if they were typed one after the other."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for code in blocks(page, "python"):
        exec(compile(code, name_of(page), "exec"), names)
    keras.backend.clear_session()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_escapes(page):
    """A block in another language would be one that nobody runs."""
    kinds = {kind for kind, _ in FENCE.findall(text_of(page))}
    assert kinds <= {"python", "sh", "text"}


@on_pytorch
@pytest.mark.parametrize("page", sorted({*PAGES} - {DOCS / "tables.md"}), ids=name_of)
def test_lines_of_text_are_short(page):
    """But for tables, pictures, formulas and code; `tables.md` is what a command prints."""
    text = re.sub(r"^\$\$$.*?^\$\$$", "", FENCE.sub("", text_of(page)), flags=re.M | re.S)
    lines = [line for line in text.splitlines() if not re.match(r"\||!\[| {4}\S", line)]
    assert not [line for line in lines if len(line) > 100]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_name_what_exists(page):
    for command in commands(page):
        words = shlex.split(command)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            check_variable(words.pop(0))
        if words[0] == "eval":  # what the command prints is for the shell
            words = shlex.split(words[1].removeprefix("$(").removesuffix(")"))
        assert words and words[0] in TOOLS, command
        check_tool(*words)


def check_variable(assignment):
    name, value = assignment.split("=")
    if name in OF_THE_SYSTEM:
        return
    assert name == "KERAS_BACKEND", assignment
    assert all(one in BACKENDS for one in value.split("|")), assignment


def check_tool(tool, *arguments):
    if tool == "pip":
        check_extras(" ".join(arguments))
    elif tool == "python" and arguments[:2] == ("-m", "keras_dla"):
        check_command(*arguments[2:])
    elif tool == "python":
        check_options(source_of(*arguments), arguments)
    elif tool == "keras-dla":
        check_command(*arguments)


def check_extras(text):
    for extras in re.findall(r"(?:\.|keras-dla)\[([\w,]+)\]", text):
        assert set(extras.split(",")) <= set(METADATA["optional-dependencies"]), text


def check_command(command, *arguments):
    """The program's own parser says whether it has such a command and options."""
    make_parser().parse_args([command, *arguments])


def source_of(first, *others):
    """Returns the text of what Python is to run."""
    if first == "-m":
        return Path(importlib.util.find_spec(others[0]).origin).read_text("utf-8")
    return (ROOT / first).read_text("utf-8")


def check_options(source, arguments):
    for option in (word for word in arguments if word.startswith("--")):
        assert re.search(rf"""["']{option}["']""", source), option


@on_pytorch
def test_the_notebook_is_the_script_with_its_outputs():
    """After a change of the script: `jupytext --to ipynb --execute docs/tutorial.py`."""
    jupytext = pytest.importorskip("jupytext", reason="reading notebooks needs the extra `docs`")
    script, notebook = jupytext.read(TUTORIAL), jupytext.read(TUTORIAL.with_suffix(".ipynb"))
    sources = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (script, notebook)]
    assert sources[0] == sources[1]
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert not any(out.output_type == "error" or out.get("name") == "stderr" for out in outputs)


def test_the_readme_says_what_its_code_prints(capsys):
    page = ROOT / "README.md"
    exec(compile(blocks(page, "python")[0], name_of(page), "exec"), {})
    printed = capsys.readouterr().out.strip()
    assert f"`{printed}`" in page.read_text("utf-8")


def test_the_readme_begins_shortly():
    """At most 500 words before the section about correctness, and a picture among them."""
    fold = (ROOT / "README.md").read_text("utf-8").split("## Correctness, accuracy and speed")[0]
    assert len(fold.split()) <= 500 and "![" in fold
    long = [line for line in fold.splitlines() if len(line) > 100]
    assert not long


@on_pytorch
def test_the_tutorial_runs(tmp_path):
    """As a script in a folder of its own, as its reader runs it, for fewer epochs."""
    pytest.importorskip("matplotlib", reason="the tutorial draws, which needs matplotlib")
    script, source = tmp_path / "tutorial.py", TUTORIAL.read_text("utf-8")
    if not THOROUGH:
        shorter = source.replace("epochs=4", "epochs=2").replace(
            "milestones=(3,)", "milestones=(1,)"
        )
        assert len(shorter) == len(source) and shorter != source
        source = shorter
    script.write_text(source, "utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    accuracies = [float(found) for found in re.findall(r": ([\d.]+)% of 198", done.stdout)]
    assert len(accuracies) == 2 and min(accuracies) > (80 if THOROUGH else 60), done.stdout
    assert float(re.search(r"differ by (\S+);", done.stdout)[1]) < 1e-4
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"tutorial.py", "tutorial_attention.png", "mine.keras"}
