"""The optimizer against PyTorch's formula in NumPy, and against PyTorch itself."""

import keras
import numpy as np
import pytest

from keras_dla.training import SGD, MultiStepDecay

SHAPES = ((3, 4), (4,), (2, 2, 3))
STEPS = 20
DROP = 10
VARIANTS = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9},
    "momentum_decay": {"momentum": 0.9, "weight_decay": 0.1},
    "nesterov_decay": {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
}


def random_arrays(seed):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape).astype("float32") for shape in SHAPES]


def gradients_of_step(step):
    return random_arrays(1000 + step)


def rate_of_step(step):
    return 0.1 if step < DROP else 0.01


def schedule():
    return MultiStepDecay(0.1, milestones=(1,), steps_per_epoch=DROP)


def expected_weights(momentum=0.0, weight_decay=0.0, nesterov=False, steps=STEPS):
    """PyTorch's documented algorithm, in float64."""
    weights = [weight.astype("float64") for weight in random_arrays(0)]
    velocities = [None] * len(weights)
    for step in range(steps):
        for i, gradient in enumerate(gradients_of_step(step)):
            gradient = gradient + weight_decay * weights[i]
            if momentum:
                first = velocities[i] is None
                velocities[i] = gradient if first else momentum * velocities[i] + gradient
                gradient = gradient + momentum * velocities[i] if nesterov else velocities[i]
            weights[i] = weights[i] - rate_of_step(step) * gradient
    return weights


def variables():
    return [keras.Variable(weight, name=f"weight_{i}") for i, weight in enumerate(random_arrays(0))]


def tensors(arrays):
    return [keras.ops.convert_to_tensor(array) for array in arrays]


def train(optimizer, weights, steps=STEPS):
    for step in range(steps):
        optimizer.apply(tensors(gradients_of_step(step)), weights)


def apply_stateless(optimizer, gradients, weights):
    state = [variable.value for variable in optimizer.variables]
    values, state = optimizer.stateless_apply(state, gradients, [w.value for w in weights])
    for variable, value in zip(weights + optimizer.variables, values + state, strict=True):
        variable.assign(value)


def assert_equal(weights, expected, tolerance=1e-6):
    for weight, array in zip(weights, expected, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(weight), array, rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_formula_across_a_drop_of_the_rate(variant):
    weights = variables()
    train(SGD(schedule(), **VARIANTS[variant]), weights)
    assert_equal(weights, expected_weights(**VARIANTS[variant]))


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_torch(variant):
    torch = pytest.importorskip("torch")
    theirs = [torch.nn.Parameter(torch.tensor(weight)) for weight in random_arrays(0)]
    torch_sgd = torch.optim.SGD(theirs, lr=0.1, **VARIANTS[variant])
    for step in range(STEPS):
        for parameter, gradient in zip(theirs, gradients_of_step(step), strict=True):
            parameter.grad = torch.tensor(gradient)
        torch_sgd.param_groups[0]["lr"] = rate_of_step(step)
        torch_sgd.step()
    ours = variables()
    train(SGD(schedule(), **VARIANTS[variant]), ours)
    assert_equal(ours, [parameter.detach().cpu().numpy() for parameter in theirs])


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_weight_at_a_time_equals_all_at_once(variant):
    together, apart = variables(), variables()
    train(SGD(schedule(), **VARIANTS[variant]), together)
    optimizer = SGD(schedule(), **VARIANTS[variant])
    optimizer.build(apart)
    for step in range(STEPS):
        for gradient, weight in zip(tensors(gradients_of_step(step)), apart, strict=True):
            optimizer.update_step(gradient, weight, keras.ops.convert_to_tensor(rate_of_step(step)))
    assert_equal(together, apart)


def test_gradients_stay_as_they_are():
    weights, gradients = variables(), tensors(gradients_of_step(0))
    SGD(0.1, momentum=0.9, weight_decay=0.1).apply(gradients, weights)
    assert_equal(gradients, gradients_of_step(0), tolerance=0)


# The stateless path is JAX's.
if keras.backend.backend() == "jax":

    def test_stateless_and_compiled_on_jax():
        import jax

        weights = variables()
        optimizer = SGD(schedule(), momentum=0.9, weight_decay=0.1)
        optimizer.build(weights)
        step_function = jax.jit(optimizer.stateless_apply)
        state = [variable.value for variable in optimizer.variables]
        values = [weight.value for weight in weights]
        for step in range(STEPS):
            values, state = step_function(state, gradients_of_step(step), values)
        assert_equal(values, expected_weights(momentum=0.9, weight_decay=0.1))


# XLA is for TensorFlow and JAX.
@pytest.mark.parametrize("jit_compile", [False] + [True] * (keras.backend.backend() != "torch"))
def test_fit_equals_the_formula(jit_compile):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8, 3)).astype("float32")
    y = generator.normal(size=(8, 1)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    kernel = np.array(model.get_weights()[0], "float64")
    model.compile(SGD(schedule(), 0.9, weight_decay=0.1), "mse", jit_compile=jit_compile)
    model.fit(x, y, batch_size=8, epochs=STEPS, shuffle=False, verbose=0)

    velocity = 0.0
    for step in range(STEPS):
        gradient = 2 * x.T @ (x @ kernel - y) / len(x)
        velocity = 0.9 * velocity + gradient + 0.1 * kernel
        kernel = kernel - rate_of_step(step) * velocity
    np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=1e-5, atol=1e-6)


def test_every_weight_decays_by_default_and_the_excluded_do_not():
    for excluded in ([], ["weight_1"]):
        weights = variables()
        optimizer = SGD(0.1, momentum=0.9, weight_decay=0.1)
        optimizer.exclude_from_weight_decay(var_names=excluded)
        train(optimizer, weights, steps=5)
        decayed = expected_weights(momentum=0.9, weight_decay=0.1, steps=5)
        bare = expected_weights(momentum=0.9, steps=5)
        expected = [decayed[0], bare[1] if excluded else decayed[1], decayed[2]]
        assert_equal(weights, expected)


def named_variables():
    """As in a model: the path of a weight has its layer's name."""
    weights = []
    for name, array in zip(("dense", "stage1_attention", "bias"), random_arrays(0), strict=True):
        with keras.name_scope(name):
            weights.append(keras.Variable(array, name="kernel"))
    return weights


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(
    ("general", "own", "expected"),
    [
        (0.1, {"attention": 0.3}, (0.1, 0.3, 0.1)),
        (None, {"attention": 0.3}, (0, 0.3, 0)),
        (0.1, {"attention": 0}, (0.1, 0, 0.1)),
        (0.1, {"bias": 0.2, "stage": 0.3, "attention": 0.4}, (0.1, 0.3, 0.2)),
    ],
)
def test_some_weights_have_a_decay_of_their_own(momentum, general, own, expected):
    weights = named_variables()
    train(SGD(schedule(), momentum, weight_decay=general, weight_decays=own), weights)
    for index, decay in enumerate(expected):
        reference = expected_weights(momentum=momentum, weight_decay=decay)
        assert_equal(weights[index : index + 1], reference[index : index + 1])


@pytest.mark.parametrize("jit_compile", [False] + [True] * (keras.backend.backend() != "torch"))
def test_a_layer_has_a_decay_of_its_own_in_fit(jit_compile, tmp_path):
    """Also when it is saved in between, and loaded."""
    dense = [keras.layers.Dense(3, use_bias=False, name=name) for name in ("first", "attention")]
    model = keras.Sequential([keras.Input((3,)), *dense])
    initial = model.get_weights()
    optimizer = SGD(0.1, 0.9, weight_decay=0.5, weight_decays={"attention": 0.25})
    model.compile(optimizer, "mse", jit_compile=jit_compile)
    x = np.zeros((2, 3), "float32")  # hence there are no gradients but those of the penalty
    model.fit(x, x, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    model.fit(x, x, epochs=1, verbose=0)
    for weight, start, decay in zip(model.get_weights(), initial, (0.5, 0.25), strict=True):
        velocity, expected = 0.0, start.astype("float64")
        for _ in range(3):
            velocity = 0.9 * velocity + decay * expected
            expected = expected - 0.1 * velocity
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-7)


def test_a_loss_scale_changes_nothing():
    weights = variables()
    inner = SGD(schedule(), momentum=0.9, weight_decay=0.1)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    optimizer.build(weights)
    for step in range(STEPS):
        scaled = tensors([8.0 * gradient for gradient in gradients_of_step(step)])
        if keras.backend.backend() == "jax":  # Keras's own loss scale is stateless there
            apply_stateless(optimizer, scaled, weights)
        else:
            optimizer.apply(scaled, weights)
    assert_equal(weights, expected_weights(momentum=0.9, weight_decay=0.1))


def test_clipping_comes_before_the_penalty():
    weight = keras.Variable([2.0, 2.0])
    optimizer = SGD(1.0, weight_decay=0.5, clipvalue=0.25)
    optimizer.apply(tensors([np.array([9.0, -9.0], "float32")]), [weight])
    assert_equal([weight], [[0.75, 1.25]])


def test_accumulated_gradients_count_as_one_step():
    weights = variables()
    optimizer = SGD(0.1, momentum=0.9, weight_decay=0.1, gradient_accumulation_steps=2)
    for step in range(6):
        optimizer.apply(tensors(gradients_of_step(step // 2)), weights)
    assert_equal(weights, expected_weights(momentum=0.9, weight_decay=0.1, steps=3))


def test_the_rate_of_a_plain_number_can_be_set():
    weight = keras.Variable([1.0])
    optimizer = SGD(0.1)
    optimizer.learning_rate = 0.5
    optimizer.apply(tensors([np.ones(1, "float32")]), [weight])
    assert_equal([weight], [[0.5]])


def test_embeddings_decay_whole():
    """Where the gradient is sparse, the rows that the batch did not name decay as well."""
    layer = keras.layers.Embedding(3, 2, embeddings_initializer="ones")
    model = keras.Sequential([keras.Input((1,), dtype="int32"), layer, keras.layers.Flatten()])
    model.compile(SGD(0.1, momentum=0.9, weight_decay=0.5), "mse")
    model.fit(np.zeros((2, 1), "int32"), np.zeros((2, 2), "float32"), verbose=0)
    expected = [[0.85, 0.85], [0.95, 0.95], [0.95, 0.95]]
    np.testing.assert_allclose(layer.get_weights()[0], expected, rtol=1e-6)


def test_config_makes_an_equal_optimizer():
    optimizer = SGD(
        schedule(),
        momentum=0.9,
        nesterov=True,
        weight_decay=0.1,
        weight_decays={"weight_1": 0.2},
        clipnorm=1.0,
        name="mine",
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(copy, SGD)
    assert copy.get_config() == optimizer.get_config()
    weights, weights_of_copy = variables(), variables()
    train(optimizer, weights)
    train(copy, weights_of_copy)
    assert_equal(weights, weights_of_copy, tolerance=0)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_saved_model_goes_on_where_it_was(policy, tmp_path):
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, dtype=policy)])
    if policy == "mixed_float16":  # at the default scale a gradient of 2 overflows: no step
        optimizer = keras.optimizers.LossScaleOptimizer(
            SGD(0.1, 0.9, weight_decay=0.1), initial_scale=256.0
        )
    else:
        optimizer = SGD(0.1, 0.9, weight_decay=0.1)
    model.compile(optimizer, "mse")
    model.fit(x, x, epochs=3, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert int(copy.optimizer.iterations) == 3
    for each in (model, copy):
        each.fit(x, x, epochs=2, shuffle=False, verbose=0)
    assert_equal(copy.get_weights(), model.get_weights(), tolerance=0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"momentum": -0.1}, r"`momentum` must be from 0 to 1, but is -0\.1\."),
        ({"momentum": 1.5}, r"`momentum` must be from 0 to 1, but is 1\.5\."),
        ({"nesterov": True}, r"`momentum` must be positive with `nesterov=True`, but is 0\.0\."),
        ({"weight_decay": -1}, r"`weight_decay` must be at least 0, but is -1\."),
        ({"weight_decays": {"a": -1}}, r"`weight_decays\['a'\]` must be at least 0, but is -1\."),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        SGD(0.1, **arguments)
