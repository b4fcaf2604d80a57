"""The graph of a functional model as steps for inference on PyTorch.

There, Keras's call of a layer takes more time than the computation of a small network's layer. When
no gradient is needed, a convolution includes the BN, the sum and the ReLU after it, and interaction
layers are run by their own `call`; all other layers are called as usual.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras

from keras_dla.keras_internals.graph_nodes import call_node, free_young_cycles, reads_nest
from keras_dla.keras_internals.private_names import values_of
from keras_dla.ops.batch_norm import fold_norms


class Step(NamedTuple):
    """One call in a graph."""

    run: Callable[[dict], None]  # adds the outputs by their ids to the tensors that it gets
    reads: set[int]
    writes: set[int]


def inference_steps(nodes: Iterable, outputs: list) -> list[Step]:
    """Returns the steps that compute `outputs` from `nodes`, in an order in which they can run.

    Args:
        nodes: the calls of the graph, without its inputs, each after those it reads.
        outputs: list of `keras.KerasTensor`.
    """
    nodes = list(nodes)
    readers = _readers(nodes, outputs)
    taken: set[int] = set()
    chains = {}
    for node in nodes:
        if _starts_chain(node) and id(node) not in taken:
            chain = _chain(node, readers, taken)
            taken.update(map(id, chain))
            chains[id(chain[-1])] = chain
    steps = [_fold(list(chains.values()))]
    for node in nodes:
        if id(node) in chains:
            steps.append(_convolution(chains[id(node)]))
        elif id(node) not in taken:
            steps.append(_layer(node))
    return steps


def _readers(nodes, outputs) -> dict[int, Any]:
    """Returns the only reader of each tensor that has just one, by the tensor's id."""
    times = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    times.update(map(id, outputs))
    return {
        id(tensor): node
        for node in nodes
        for tensor in node.input_tensors
        if times[id(tensor)] == 1
    }


def _starts_chain(node) -> bool:
    return hasattr(node.operation, "can_infer") and node.operation.can_infer()


def _chain(node, readers, taken) -> list:
    """Returns a convolution with the BN, the sum of two maps and the ReLU after it, if any."""
    chain = [node]
    for follows in (_is_norm, _is_sum, _is_relu):
        reader = readers.get(id(chain[-1].outputs[0]))
        if reader is not None and id(reader) not in taken and follows(reader):
            chain.append(reader)
    return chain


def _is_norm(node) -> bool:
    norm = node.operation
    return hasattr(norm, "can_fold") and norm.can_fold()


def _is_sum(node) -> bool:
    shapes = [tensor.shape for tensor in node.input_tensors]
    # An in-place sum has the shape of its first map.
    return type(node.operation) is keras.layers.Add and len(shapes) == 2 and shapes[0] == shapes[1]


def _is_relu(node) -> bool:
    relu = node.operation
    if type(relu) is not keras.layers.ReLU:
        return False
    return not relu.negative_slope and relu.max_value is None and not relu.threshold


def _fold(chains) -> Step:
    """Computes the kernel and the bias of every convolution followed by a BN, all at once."""
    pairs = [chain[:2] for chain in chains if len(chain) > 1 and _is_norm(chain[1])]
    keys = [id(norm) for _, norm in pairs]
    layers = [(convolution.operation, norm.operation) for convolution, norm in pairs]
    epsilons = [norm.epsilon for _, norm in layers]

    def run(tensors):
        if layers:
            kernels = [_kernel(convolution) for convolution, _ in layers]
            of_norms = [norm.folds() for _, norm in layers]
            means, variances, gammas, betas = (
                values_of(list(variables)) for variables in zip(*of_norms, strict=True)
            )
            folded = fold_norms(kernels, means, variances, gammas, betas, epsilons)
            tensors.update(zip(keys, folded, strict=True))

    return Step(run, set(), set(keys))


def _convolution(chain) -> Step:
    first, *others = chain
    (x,), (result,) = map(id, first.input_tensors), map(id, chain[-1].outputs)
    inner = {id(tensor) for node in chain for tensor in node.outputs}
    norms = [id(node) for node in others if _is_norm(node)]
    sums = [node.input_tensors for node in others if _is_sum(node)]
    summands = [id(tensor) for tensors in sums for tensor in tensors if id(tensor) not in inner]
    rectified = _is_relu(chain[-1])
    convolution = first.operation

    def run(tensors):
        weights = tensors[norms[0]] if norms else (_kernel(convolution), None)
        other = tensors[summands[0]] if summands else None
        tensors[result] = convolution.infer(tensors[x], *weights, other, rectified)

    return Step(run, {x, *norms, *summands}, {result})


def _kernel(convolution):
    """Returns the kernel, which is not a variable once Keras has added low-rank adapters to it."""
    kernel = convolution.kernel
    return kernel.value if isinstance(kernel, keras.Variable) else kernel


def _layer(node) -> Step:
    reads, writes = ({id(t) for t in tensors} for tensors in (node.input_tensors, node.outputs))
    operation = node.operation
    if getattr(operation, "infers_by_call", False):
        operation = _own_call(operation)
    elif reads_nest(node):
        return Step(lambda tensors: _call_and_collect(node, tensors), reads, writes)
    elif type(operation) is keras.layers.Identity:
        operation = _same
    return Step(lambda tensors: call_node(node, tensors, operation), reads, writes)


def _same(x):
    return x


def _own_call(layer):
    takes_training = "training" in inspect.signature(layer.call).parameters
    settings = {"training": False} if takes_training else {}
    return lambda *args, **kwargs: layer.call(*args, **{**kwargs, **settings})


def _call_and_collect(node, tensors):
    call_node(node, tensors, node.operation)
    free_young_cycles()
