import keras
import numpy as np
import pytest

from keras_dla.training import MultiStepDecay


def rate(schedule, step):
    return float(keras.ops.convert_to_numpy(schedule(step)))


def authors_rate(epoch, milestones=(100, 150), factor=0.1):
    """The authors' script multiplies the rate at the start of these epochs."""
    value = 0.1
    for earlier in range(epoch + 1):
        value *= factor if earlier in milestones else 1
    return value


@pytest.mark.parametrize("epoch", [0, 99, 100, 101, 149, 150, 179])
def test_drops_where_the_authors_drop(epoch):
    schedule = MultiStepDecay(0.1, milestones=(100, 150), steps_per_epoch=391)
    for step in (epoch * 391, epoch * 391 + 390):
        assert rate(schedule, step) == pytest.approx(authors_rate(epoch), rel=1e-6)


def test_takes_the_optimizers_counter():
    schedule = MultiStepDecay(0.1, milestones=(1,), steps_per_epoch=4)
    counter = keras.Variable(3, dtype="int", trainable=False)
    assert rate(schedule, counter) == pytest.approx(0.1)
    counter.assign(4)
    assert rate(schedule, counter) == pytest.approx(0.01)


def test_warmup_rises_in_a_line_and_ends_at_the_full_rate():
    schedule = MultiStepDecay(0.8, milestones=(3,), steps_per_epoch=4, warmup_epochs=2)
    rates = [rate(schedule, step) for step in range(13)]
    np.testing.assert_allclose(rates[:8], 0.1 * np.arange(1, 9), rtol=1e-6)
    np.testing.assert_allclose(rates[8:], [0.8] * 4 + [0.08], rtol=1e-6)


def test_warmup_by_steps_is_mmdetections():
    schedule = MultiStepDecay(0.01, milestones=(1,), steps_per_epoch=600, warmup_steps=500)
    for step in (0, 1, 250, 499, 500, 599, 600):
        expected = 0.01 * (1 - (1 - min(step, 500) / 500) * (1 - 0.001))
        expected *= 0.1 if step >= 600 else 1
        assert rate(schedule, step) == pytest.approx(expected, rel=1e-5)
    assert MultiStepDecay.from_config(schedule.get_config()).warmup_steps == 500


def test_without_milestones_the_rate_stays():
    assert rate(MultiStepDecay(0.1, (), steps_per_epoch=1), 1000) == pytest.approx(0.1)


def test_config_makes_an_equal_schedule():
    schedule = MultiStepDecay(0.3, (2, 5), steps_per_epoch=7, factor=0.2, warmup_epochs=1)
    config = keras.optimizers.schedules.serialize(schedule)
    copy = keras.optimizers.schedules.deserialize(config)
    assert [rate(copy, s) for s in range(40)] == [rate(schedule, s) for s in range(40)]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"initial_learning_rate": 0.0}, "`initial_learning_rate` must be positive, but is 0.0"),
        ({"factor": -1}, "`factor` must be positive, but is -1"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be an integer of at least 1, but is 0"),
        ({"milestones": (0, 2)}, "`milestones` must be an integer of at least 1, but is 0"),
        ({"milestones": (3, 2)}, r"`milestones` must be in ascending order, but are \(3, 2\)"),
        ({"warmup_epochs": 3}, r"`warmup_epochs` must be .* first milestone \(2\), but is 3"),
        ({"warmup_epochs": -1}, "`warmup_epochs` must be .*, but is -1"),
    ],
)
def test_bad_arguments_are_named(changed, sentence):
    arguments = {"initial_learning_rate": 0.1, "milestones": (2,), "steps_per_epoch": 5}
    with pytest.raises(ValueError, match=sentence):
        MultiStepDecay(**{**arguments, **changed})
