import json

import keras
import numpy as np
import pytest

from keras_dla.analysis import complexity
from keras_dla.cli import main
from keras_dla.cli.options.image_size import image_input
from keras_dla.cli.stage_table import has_stages, stage_rows
from keras_dla.models import ResNet, get_model
from keras_dla.models.resnet import _stem

SIZE = (32, 32, 3)


def summary(capsys, *arguments):
    assert main(["summary", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def numbers(cell):
    return int(cell.replace(",", "").removeprefix("at least "))


def counted(rows):
    """The sums of the three columns over the parts, without the lines "of which"."""
    return np.sum([[numbers(cell) for cell in row[3:]] for row in rows if row[0]], axis=0).tolist()


@pytest.mark.parametrize("name", ["rla_g_11", "mrla_l_11"])
def test_the_parts_add_up_to_the_model(name):
    model = get_model(name, classes=10, data_format="channels_last")
    counts = complexity(model, SIZE)
    rows = stage_rows(counts)
    assert [row[0] for row in rows if row[0]] == ["stem", "stage1", "stage2", "stage3", "head"]
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert counted(rows) == [model.count_params(), trainable, counts.flops]


def test_a_stage_is_what_its_layers_are():
    model = get_model("mrla_l_11", classes=10, data_format="channels_last")
    head, below = stage_rows(complexity(model, SIZE))[3:5]
    layers = [layer for layer in model.layers if layer.name.startswith("stage2_")]
    interaction = model.get_layer("stage2_interaction")
    assert head[:3] == ("stage2", "1 block", "16 x 16 x 128")
    assert numbers(head[3]) == sum(layer.count_params() for layer in layers)
    assert below[:2] == ("", "of which MRLALight")
    assert numbers(below[3]) == interaction.count_params()
    assert 0 < numbers(below[5]) < numbers(head[5])


def test_a_network_within_a_network_has_the_same_stages():
    inner = ResNet(11, "eca", include_top=False, data_format="channels_last")
    images = keras.Input(SIZE)
    top = keras.layers.Dense(7)(keras.layers.GlobalAveragePooling2D()(inner(images)))
    rows = stage_rows(complexity(keras.Model(images, top)))
    assert [row[0] for row in rows if row[0]] == ["stem", "stage1", "stage2", "stage3", "head"]
    assert rows[-1] == ("head", "", "7", "1,799", "1,799", "1,792")


def test_the_cost_of_a_layer_that_is_not_known_is_not_left_out_silently():
    images = keras.Input(SIZE)
    x = keras.layers.Conv2D(4, 3, name="stage1_conv")(images)
    x = keras.layers.Lambda(lambda x: x, name="stage1_odd")(x)
    counts = complexity(keras.Model(images, x))
    assert has_stages(counts)
    assert stage_rows(counts)[0][5] == "at least 97,200"


def test_as_text(capsys):
    lines = summary(capsys, "resnet_11", "--classes", 10).splitlines()
    assert lines[0] == "resnet_11 on 32 x 32 x 3"
    assert lines[3].split() == ["stem", "32", "x", "32", "x", "16", "496", "464", "442,368"]
    assert lines[-2].startswith("129,914 parameters: 127,642 trainable (0.13 M), 2,272 not")
    assert lines[-1].startswith("20,367,872 FLOPs")


def test_as_markdown(capsys):
    lines = summary(capsys, "resnet_11", "--markdown", "--size", "16x24").splitlines()
    assert lines[0] == "**resnet_11 on 16 x 24 x 3**"
    assert lines[2] == "| part |  | output | parameters | trainable | FLOPs |"
    assert "| stage2 | 1 block | 8 x 12 x 128 |" in lines[6]


def test_every_layer(capsys):
    text = summary(capsys, "resnet_11", "--layers")
    model = get_model("resnet_11", data_format="channels_last")
    names = {layer.name for layer in model.layers if layer.weights}
    assert names <= {line.split(" ")[0] for line in text.splitlines()}


def test_options_reach_the_network(capsys):
    lstm = summary(capsys, "dla_l_11", "--unit", "lstm", "--formulation", "paper", "--classes", 5)
    model = get_model("dla_l_11", unit="lstm", formulation="paper", classes=5)
    assert f"\n{model.count_params():,} parameters" in lstm


def test_a_file(capsys, files):
    lines = summary(capsys, files.dla).splitlines()
    assert lines[0] == "mine on 32 x 32 x 3"
    assert lines[4].startswith("stage1  2 blocks  15 x 15 x 32 ")
    assert lines[-2].startswith(f"{files.networks['dla'].count_params():,} parameters")


def test_channels_first(capsys, files, tmp_path):
    assert summary(capsys, files.mean_first).startswith("mean on 3 x 12 x 8\n")


def test_a_network_without_stages_is_shown_layer_by_layer(capsys, files):
    assert "\ndense  Dense  2" in summary(capsys, files.dense)


@pytest.mark.parametrize(("stem", "size"), [("cifar", 32), ("imagenet", 224)])
def test_the_default_size_is_the_stems(stem, size):
    images = keras.Input((None, None, 3))
    network = keras.Model(images, _stem(images, stem, "channels_last")[0])
    assert image_input(network, None).shape == (size, size, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fly"], "NAME must be one of resnet, a2, "),
        (["dla_l_5"], "NAME must have a depth of 50, 101, 152 (ImageNet) or 9n + 2 (CIFAR"),
        (["fly.h5"], "the file of a network must end in .keras, but is fly.h5."),
        (["fly.keras"], "there is no file fly.keras."),
        (["fly.keras", "--unit", "dsu"], "`--unit` must not be given with a file"),
        (["resnet_11", "--unit", "dsu"], "`--unit` must not be given for the plain ResNet"),
        (["resnet_11", "--classes", "0"], "`--classes` must be"),
    ],
)
def test_errors(fails, arguments, sentence):
    assert fails("summary", *arguments).startswith(sentence)


def test_a_damaged_file(fails, nonsense):
    assert "is damaged or not a .keras file" in fails("summary", nonsense("bad.keras"))


def test_code_in_a_file_is_not_run(fails, tmp_path):
    images = keras.Input((4, 4, 3))
    path = tmp_path / "code.keras"
    keras.Model(images, keras.layers.Lambda(lambda x: x + 1)(images)).save(path)
    sentence = fails("summary", path)
    assert sentence.startswith(f"the file cannot be loaded: {path}: ")
    assert "Lambda" in sentence


@pytest.mark.parametrize("size", ["0", "12x", "a", "1x2x3", "-4", "²"])
def test_a_size_that_is_none(capsys, size):
    with pytest.raises(SystemExit) as exit_:
        main(["summary", "resnet_11", f"--size={size}"])
    assert exit_.value.code == 2
    assert "is not a size such as 224" in capsys.readouterr().err


def test_json(capsys, files):
    record = json.loads(summary(capsys, files.dla, "--json"))
    network = files.networks["dla"]
    assert (record["name"], record["params"]) == ("mine", network.count_params())
    assert record["input_shape"] == [32, 32, 3]
    assert sum(layer["params"] for layer in record["layers"]) == record["params"]
    assert record["flops"] == complexity(network).flops
