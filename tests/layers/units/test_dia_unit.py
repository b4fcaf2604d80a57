import pytest

from keras_dla.layers import DIAUnit
from tests import golden
from tests.layers.cells import check_against_golden, save_and_load


def test_equals_the_authors_step_by_step():
    check_against_golden(DIAUnit(64, reduction=4), golden.load("dia_cell"))


def test_saved_and_loaded_inside_rnn(tmp_path):
    assert save_and_load(DIAUnit(16, reduction=2), tmp_path).reduction == 2


def test_parameter_count_is_that_of_section_3_4():
    unit = DIAUnit(64, reduction=4)
    unit.build((None, 64))
    # 10C^2/r, and the biases of its two bottlenecks.
    assert unit.count_params() == 10 * 64**2 // 4 + 2 * 16 + 2 * 4 * 64


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"units": -1}, "`units` must be an integer of at least 1, but is -1."),
        (
            {"units": 8, "reduction": 16},
            "`reduction` must be at most the number of channels (8), but is 16.",
        ),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError) as caught:
        DIAUnit(**arguments)
    assert str(caught.value) == sentence
