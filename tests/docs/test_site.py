"""The site builds without a warning, holds every public name, and points at files that exist."""

import html
import importlib
import os
import posixpath
import re
import subprocess
import sys

import pytest

from tests.backends import on_pytorch
from tests.docs.pages import DOCS, PAGES, ROOT, TUTORIAL, name_of
from tests.public_names import ROOMS

pytestmark = on_pytorch
MAP = (DOCS / "paper-to-code.md").read_text("utf-8")
PAPER = [
    *(f"Eq. {number}" for number in range(1, 10)),
    *(f"Figure {number}" for number in range(1, 5)),
    *(f"Table {number}" for number in range(1, 7)),
]
FOLDERS = ("keras_dla", "tests", "examples", "benchmarks", "docs")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="building the site needs the extra `docs`")
    pytest.importorskip("mkdocstrings", reason="building the site needs the extra `docs`")
    folder = tmp_path_factory.mktemp("site")
    build = ["-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run([sys.executable, *build], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built(site):
    expected = [page.relative_to(DOCS) for page in [*PAGES, TUTORIAL] if DOCS in page.parents]
    assert all((site / page.with_suffix(".html")).is_file() for page in expected)


def test_nothing_is_fetched_from_elsewhere(site):
    fetched = re.compile(r"<(?:link|script|img)\b[^>]*(?:href|src)=[\"'](?:https?:)?//[^\"']+")
    found = {page.name: fetched.findall(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert not {name: links for name, links in found.items() if links}


@pytest.fixture(scope="module")
def reference(site):
    """The pages of the API, by name."""
    return {page.stem: page.read_text("utf-8") for page in (site / "api").glob("*.html")}


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_its_place(reference, room):
    """One page documents it, once, and the table on top of that page names it."""
    for name in importlib.import_module(f"keras_dla.{room}").__all__:
        places = [
            page
            for page, text in reference.items()
            for _ in re.findall(rf'id="keras_dla\.{room}\.{name}"', text)
        ]
        assert len(places) == 1, (name, places)
        assert f'href="#keras_dla.{room}.{name}"' in reference[places[0]], name


def test_no_name_is_documented_twice(reference):
    for page, text in reference.items():
        names = re.findall(r'<h2 id="keras_dla[\w.]*\.(\w+)"', text)
        assert len(names) == len(set(names)), page


def test_links_lead_somewhere(site):
    """Every link and picture inside the site is there, down to the place on its page."""
    texts = {page.relative_to(site).as_posix(): page.read_text("utf-8")
             for page in site.rglob("*.html")}  # fmt: skip
    places = {
        name: set(re.findall(r' (?:id|name)="([^"]+)"', text)) for name, text in texts.items()
    }
    missing = []
    for name, text in texts.items():
        if name == "404.html" or name.startswith("source/"):
            continue
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            path, _, place = link.partition("#")
            if re.match(r"\w+:", link):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            target = name if not path else target if "." in target else f"{target}/index.html"
            if not (site / target).exists() or (place and place not in places.get(target, {place})):
                missing.append(f"{name}: {link}")
    assert not missing, "\n".join(missing[:20])


# What a newcomer wants, the page about it, and what is there.
GOALS = {
    "install": ("install.html", 'pip install ".[torch]"'),
    "a network of one's own": ("how-to/own-network.html", "DynamicLayerAttention"),
    "start from pretrained weights": ("how-to/pretrained.html", "load_pretrained_resnet"),
    "reproduce a table": ("how-to/experiments.html", "keras-dla train --table 1"),
    "switch the backend": ("how-to/backends.html", "KERAS_BACKEND=jax"),
    "detect": ("how-to/detect.html", "keras-dla detect"),
    "export": ("exports.html", "export_model"),
    "cite": ("cite.html", "@inproceedings"),
}


def text_links(site, page):
    """Returns the pages to which the text of a page links, leaving out menus."""
    article = re.search(r"<article.*?</article>", (site / page).read_text("utf-8"), re.DOTALL)[0]
    links = re.findall(r'href="([^"#:]+\.html)', article)
    return {posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) for link in links}


@pytest.mark.parametrize("goal", GOALS)
def test_two_clicks_lead_there(site, goal):
    """From the text of the front page or of one that it links to; the page has what to type."""
    page, typed = GOALS[goal]
    first = text_links(site, "index.html")
    assert page in first.union(*(text_links(site, one) for one in first))
    words = re.sub(r"<[^>]*>", "", (site / page).read_text("utf-8"))
    assert typed in html.unescape(words)


def test_menu_and_page_agree(site):
    """The menu calls a page by the page's own title."""
    entry = r'<a href="([\w/-]+\.html)" class="md-nav__link">\s*<span[^>]*>\s*(.*?)\s*<'
    front = (site / "index.html").read_text("utf-8")
    menu = dict(re.findall(entry, front, re.DOTALL))
    assert len(menu) > 20
    for path, title in menu.items():
        heading = re.search(r"<h1[^>]*>(.*?)<a", (site / path).read_text("utf-8"))[1]
        assert re.sub("<.*?>", "", heading) == title, path


def test_docstrings_are_written_out(site):
    """Neither a doctest nor a section is left as running text."""
    for page in (site / "api").glob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(
            r"<blockquote>|<p>(?:Args|Call arguments|Returns|Raises|Example):", text
        )


@pytest.mark.parametrize("name", PAPER)
def test_the_map_has_all_of_the_paper(name):
    (row,) = re.findall(rf"^\| {re.escape(name)} \|.*$", MAP, re.MULTILINE)
    assert len(PATH.findall(row)) >= 2, row


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(page):
    for path in PATH.findall(page.read_text("utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 8, 9])
def test_the_file_of_an_equation_names_it(number):
    """The docstring of a file in the row says that the equation is there."""
    (row,) = re.findall(rf"^\| Eq. {number} \|.*$", MAP, re.MULTILINE)
    texts = [(ROOT / path).read_text("utf-8") for path in PATH.findall(row) if "tests" not in path]
    ranges = re.findall(r"Eq\. (\d)(?:(?:-| and )(\d))?", "".join(texts))
    assert any(int(low) <= number <= int(high or low) for low, high in ranges)


def test_pictures_are_small():
    assert all(os.path.getsize(path) < 150_000 for path in (DOCS / "pictures").iterdir())
