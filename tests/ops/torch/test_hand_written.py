"""Hand-written backward passes under PyTorch's transforms: the numbers of their plain forms."""

import keras
import pytest

if keras.backend.backend() != "torch":
    pytest.skip("PyTorch's own forms", allow_module_level=True)

import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from keras_dla.ops.torch.average import AverageAndMap
from keras_dla.ops.torch.gated_context import GatedContext
from keras_dla.ops.torch.light_recurrence import LightRecurrence
from keras_dla.ops.torch.relu import Rectified
from keras_dla.ops.torch.weighted_sum import WeightedSum


def tensors(*shapes):
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


MAPS = (2, 3, 2, 4)
VECTOR = (2, 3, 1, 1)
RECURRENCE = [MAPS, (3, 3, 3), VECTOR, MAPS, VECTOR, (3, 3, 3)]


def positive(x):
    return torch.relu(x)


def average(x):
    return x.mean((2, 3))


def average_and_map(x):
    return x.mean((2, 3)), x.view_as(x)


CASES = {
    "recurrence": (LightRecurrence, LightRecurrence.plain, RECURRENCE),
    "sum": (WeightedSum, WeightedSum.plain, [(3, *VECTOR), MAPS, MAPS, MAPS]),
    "sum_channels_last": (WeightedSum, WeightedSum.plain, [(1, 2, 1, 1, 4), MAPS]),
    "sum_of_one_channel": (WeightedSum, WeightedSum.plain, [(1, 2, 1, 1, 1), (2, 3, 2, 1)]),
    "relu": (Rectified, positive, [MAPS]),
    "average_and_map": (AverageAndMap, average_and_map, [MAPS]),
}


def first_of(function):
    return lambda *inputs: function(*inputs)[0]


def without_last(function):
    return lambda *inputs: function(*inputs, None)


FORMS = [(case[0].apply, *case[1:]) for case in CASES.values()]
FORMS.append((first_of(AverageAndMap.apply), average, [MAPS]))
RECURRENCES = LightRecurrence.apply, LightRecurrence.plain
FORMS.append((*map(without_last, RECURRENCES), RECURRENCE[:-1]))
CONTEXTS = [first_of(form) for form in (GatedContext.apply, GatedContext.plain)]
FORMS.append((*CONTEXTS, [(2, 3, 12), (2, 1, 4)]))
FORMS.append((*map(without_last, CONTEXTS), [(2, 3, 12)]))


def first(outputs):
    return outputs[0] if isinstance(outputs, tuple) else outputs


def loss(function):
    """A scalar that depends on every output, and whose second derivatives are no zeros."""

    def scalar(*inputs):
        outputs = function(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return sum((output**3).sum() for output in outputs)

    return scalar


def equal(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("apply", "plain", "shapes"), FORMS)
def test_by_differences(apply, plain, shapes):
    """First derivatives backward and forward, and second ones."""
    inputs = tensors(*shapes)
    equal(apply(*inputs), plain(*inputs))
    assert gradcheck(apply, inputs, check_forward_ad=True, check_undefined_grad=False)
    assert gradgradcheck(apply, inputs)


@pytest.mark.parametrize(("apply", "plain", "shapes"), FORMS)
def test_transforms(apply, plain, shapes):
    inputs = tensors(*shapes)
    directions = tuple(map(torch.randn_like, inputs))
    places = tuple(range(len(inputs)))
    stacks = tuple(torch.stack([x, 2 * x]) for x in inputs)

    def results(function):
        scalar = loss(function)
        grad = torch.func.grad(scalar, places)
        return {
            "grad": grad(*inputs),
            "jvp": torch.func.jvp(function, tuple(inputs), directions),
            "vmap": torch.vmap(function)(*stacks),
            "one in the batch": torch.vmap(function, (0, *[None] * len(places[1:])))(
                stacks[0], *inputs[1:]
            ),
            "vmap of grad": torch.vmap(grad)(*stacks),
            "grad of vmap": torch.func.grad(lambda *x: torch.vmap(scalar)(*x).sum(), places)(
                *stacks
            ),
            "Hessian-vector product": torch.func.jvp(grad, tuple(inputs), directions)[1],
            "grad of grad": torch.func.grad(
                lambda *x: sum((g**2).sum() for g in torch.func.grad(scalar, places)(*x)), places
            )(*inputs),
        }

    for found, expected in zip(results(apply).values(), results(plain).values(), strict=True):
        equal(found, expected)


@pytest.mark.parametrize("which", [0, 1])
def test_a_map_and_its_average_when_only_one_is_read(which):
    (x,) = tensors(MAPS)
    found, expected = (
        torch.vmap(torch.func.grad(lambda x, form=form: (form(x[None])[which] ** 3).sum()))(x)
        for form in (AverageAndMap.apply, average_and_map)
    )
    equal(found, expected)


def test_an_input_computed_from_another_has_its_own_share():
    x, kernel, _, memory, decay, _ = tensors(*RECURRENCE)

    def function(form):
        gate = x.mean((2, 3), keepdim=True) ** 2
        output = form(x * 2, kernel, gate, memory, decay, None)
        (gradient,) = torch.autograd.grad((output**3).sum(), x, create_graph=True)
        return gradient, torch.autograd.grad((gradient**2).sum(), [x, kernel, memory])

    equal(function(LightRecurrence.apply), function(LightRecurrence.plain))


def test_without_gradients_every_other_transform_is_still_right():
    """`run` spares the cost of `apply` where nothing is differentiated, and nowhere else."""
    weights, one, other = (x.detach() for x in tensors((2, 4, *VECTOR), (4, *MAPS), (4, *MAPS)))
    moved = weights + 1
    with torch.no_grad():
        total = WeightedSum.run(weights[:, 0], one[0], other[0])[0]
        torch.testing.assert_close(total, WeightedSum.plain(weights[:, 0], one[0], other[0])[0])
        mapped = torch.vmap(lambda *inputs: WeightedSum.run(*inputs)[0], (1, 0, 0))
        torch.testing.assert_close(mapped(weights, one, other)[0], total)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(weights[:, 0], moved[:, 0])
            found = forward_ad.unpack_dual(WeightedSum.run(dual, one[0], other[0])[0]).tangent
        torch.testing.assert_close(found, WeightedSum.plain(moved[:, 0], one[0], other[0])[0])
