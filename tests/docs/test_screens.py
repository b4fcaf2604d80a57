"""Pages fit a phone and a desk: nothing is wider than the window."""

import pytest

from tests.backends import on_pytorch
from tests.docs import chromium
from tests.docs.test_site import site  # noqa: F401 - a fixture

PAGES = [
    "index.html", "install.html", "idea.html", "tutorial.html", "which-network.html",
    "paper-to-code.html", "tables.html", "results.html", "how-to/train.html",
    "how-to/detect.html", "api/layers-interaction.html", "api/index.html", "changelog.html",
]  # fmt: skip


pytestmark = [
    on_pytorch,
    pytest.mark.skipif(chromium.BROWSER is None, reason="Chromium is not installed"),
]


def test_no_page_is_wider_than_its_window(site):  # noqa: F811
    measured = chromium.widths(site, PAGES)
    assert len(measured) == 2 * len(PAGES)
    assert not {key: sizes for key, sizes in measured.items() if sizes[0] > sizes[1]}


def test_search_works_from_a_folder(site):  # noqa: F811
    """Without a server, where browsers start no workers."""
    html = chromium.dom(f"{site.as_uri()}/index.html?q=attention")
    assert html.count("md-search-result__item") > 5
