"""The page is checked as text, and in a browser where there is one."""

import base64
import html.parser
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from keras_dla.analysis import attention_scores, class_activation_maps, explore
from keras_dla.analysis.explorer.explore import page_text
from keras_dla.analysis.explorer.page_data import image_data
from keras_dla.models import ResNet
from tests.backends import on_pytorch

pytest.importorskip("PIL.Image", reason="needs Pillow, which writes images")
pytestmark = on_pytorch

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
NAMES = ("cat", "</script><script>alert(1)</script>", "cow")
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype("uint8")
INPUTS = (PIXELS / 127.5 - 1).astype("float32")


@pytest.fixture(scope="module")
def models():
    return {
        name: ResNet(29, name, classes=3, data_format="channels_last")
        for name in ("mrla_b", "dla_b", "dla_l")
    }


@pytest.fixture(scope="module")
def path(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    names = ["a <b>", "b"]
    return explore(models, INPUTS, path, images=PIXELS, class_names=NAMES, image_names=names)


@pytest.fixture(scope="module")
def page(path):
    (data,) = re.findall(r'id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    return json.loads(data)


def numbers(packed):
    return np.frombuffer(base64.b64decode(packed["int16"]), "<i2") * packed["unit"]


def test_holds_the_readings_of_every_model(page, models):
    below = np.tril_indices(3)
    for shown, (name, model) in zip(page["models"], models.items(), strict=True):
        assert shown["name"] == name
        scores = attention_scores(model, INPUTS)
        for stage, expected in zip(shown["stages"], scores.weights.values(), strict=True):
            product = numbers(stage["scores"]) * numbers(stage["scales"])
            np.testing.assert_allclose(product, expected[:, :, *below].ravel(), atol=2e-4)
        assert {stage["isApproximate"] for stage in shown["stages"]} == {name == "dla_l"}


def test_holds_the_classes_and_their_maps(page, models):
    shown, model = page["models"][1], models["dla_b"]
    probabilities = model.predict(INPUTS, verbose=0)
    for row, listed in zip(probabilities, shown["likeliest"], strict=True):
        assert [index for index, _ in listed] == np.argsort(-row).tolist()
        np.testing.assert_allclose([score for _, score in listed], np.sort(row)[::-1], atol=1e-4)
    maps = np.frombuffer(base64.b64decode(shown["maps"]["bytes"]), "uint8").reshape(2, 3, 16, 16)
    expected = class_activation_maps(model, INPUTS, probabilities.argmax(axis=1))
    np.testing.assert_allclose(maps[:, 0] / 255, expected, atol=1 / 255 + 1e-6)


def test_is_one_file_that_asks_for_no_other(path):
    links = []

    class Links(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            links.extend(value for name, value in attributes if name in ("src", "href"))

    Links().feed(path.read_text("utf-8"))
    assert all(link.startswith("data:") for link in links)
    assert "default-src 'none'" in path.read_text("utf-8")
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]


def test_names_of_a_person_are_no_code(path):
    text = path.read_text("utf-8")
    assert "<script>alert" not in text and text.count("</script>") == 2
    assert "<title>&lt;b&gt;</title>" in page_text({"title": "<b>"})


def test_large_images_become_small():
    """Noise is the worst case of a photograph: sixteen leave room for the rest of 3 MB."""
    pixels = np.random.default_rng(0).integers(0, 256, (600, 400, 3)).astype("uint8")
    shown = image_data(pixels, "noise")
    assert (shown["width"], shown["height"]) == (171, 256)
    assert shown["src"].startswith("data:image/jpeg;base64,") and len(shown["src"]) < 100_000


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"images": PIXELS / 255}, "`images` must be uint8"),
        ({"images": PIXELS[:1]}, "`inputs` must have a length of 1"),
        ({"image_names": ["a"]}, "`image_names` must have a length of 2"),
        ({"class_names": ["a"]}, "`class_names` must name the 3 classes of"),
        ({"models": {}}, "`models` must contain at least one model"),
    ],
)
def test_what_does_not_fit_is_one_sentence(models, tmp_path, changed, sentence):
    arguments = {"models": models, "images": PIXELS, **changed}
    with pytest.raises(ValueError, match=sentence):
        explore(inputs=INPUTS, path=tmp_path / "a.html", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist(models, tmp_path):
    with pytest.raises(ValueError, match="`path` must be in an existing folder"):
        explore(models, INPUTS, tmp_path / "absent" / "a.html", images=PIXELS)


def dom(path, address=""):
    """What the browser has made of the page."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]
    command = [BROWSER, *flags, "--window-size=1280,900", "--dump-dom"]
    done = subprocess.run(
        [*command, f"{path.as_uri()}{address}"], capture_output=True, text=True, timeout=60
    )
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which shows the page")
def test_a_browser_shows_what_is_asked_for(path, page):
    shown = dom(path, "#image=2&stage=1&quantity=2&layer=3&head=1")
    assert shown.count('<article class="model">') == shown.count('<svg class="grid"') == 3
    assert "Stage 1: 3 layers, 2 heads" in shown
    assert shown.count("Layer 3 reads") == 3
    # Of the first head of the second image: the last row of three.
    scores = numbers(page["models"][0]["stages"][0]["scores"]).reshape(2, 2, 6)
    rows = shown.split("Layer 3 reads")[1].split("</article>")[0]
    found = re.findall(r'class="number">(-?[\d.]+)<', rows)
    np.testing.assert_allclose([float(number) for number in found[:3]], scores[1, 0, 3:], atol=1e-3)
    assert shown.split("<script")[0].count("Light form, an approximation") == 1


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which shows the page")
def test_controls_change_what_is_shown(path, tmp_path):
    """What a keyboard does to a slider and to a choice, as the events that it causes."""
    act = """<script>
      const layer = document.getElementById("layer");
      layer.value = 2; layer.dispatchEvent(new Event("input"));
      document.querySelectorAll('input[name="stage"]')[1].click();
      document.querySelectorAll('input[name="rank-0"]')[1].click();
      document.title = document.activeElement.name + location.hash;
    </script>"""
    acting = tmp_path / "acting.html"
    acting.write_text(path.read_text("utf-8").replace("</body>", f"{act}</body>"), "utf-8")
    shown = dom(acting)
    assert shown.count("Layer 2 reads") == 3 and "Stage 2: 3 layers, 4 heads" in shown
    # The focus stays on the choice that was made, and the address tells the view.
    assert (
        "<title>rank-0#image=1&amp;stage=2&amp;quantity=1&amp;layer=2&amp;head=0</title>" in shown
    )


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which shows the page")
@pytest.mark.parametrize("width", [390, 1280])
def test_no_screen_scrolls_sideways(path, tmp_path, width):
    """In a frame, since a window of the browser has a least width; the page tells its own."""
    tell = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script>"
    (tmp_path / "page.html").write_text(
        path.read_text("utf-8").replace("</body>", f"{tell}</body>"), "utf-8"
    )
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe src='page.html' style='width: {width}px; height: 5000px; border: 0'></iframe>"
        "<script>onmessage = (event) => { document.title = `width ${event.data}` }</script>"
    )
    assert f"<title>width {width}</title>" in dom(frame)
