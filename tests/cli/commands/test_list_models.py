import json

from keras_dla.cli import main
from keras_dla.models import list_models
from tests.backends import on_pytorch

pytestmark = on_pytorch


def listed(capsys, *arguments):
    assert main(["list", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_all(capsys):
    assert listed(capsys) == list_models()


def test_every_part_must_be_in_the_name(capsys):
    assert listed(capsys, "dla_", "_50") == ["dla_b_50", "dla_l_50"]


def test_by_images(capsys):
    assert listed(capsys, "--images", "imagenet", "eca") == ["eca_50", "eca_101", "eca_152"]
    assert listed(capsys, "--images", "cifar", "eca")[0] == "eca_20"


def test_nothing_found(fails):
    assert fails("list", "dla", "7", "--images", "imagenet") == (
        "no network has 'dla' and '7' in its name and is for imagenet; "
        "`keras-dla list` prints them all."
    )


def test_json(capsys):
    assert main(["list", "dla_", "_50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["dla_b_50", "dla_l_50"]
