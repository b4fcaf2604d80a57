"""The graph of a functional model as steps for inference on PyTorch.

There, Keras's call of a layer takes more time than the computation of a small network's layer. When
no gradient is needed, a convolution includes the BN, the sum and the ReLU after it.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import keras

from keras_dla.keras_internals.direct_calls import FORWARD_HOOKS, hooks_of, layer_step
from keras_dla.keras_internals.graph_nodes import calls, last_reads, only_readers
from keras_dla.keras_internals.private_names import values_of
from keras_dla.ops.batch_norm import fold_norms
from keras_dla.ops.linear import linear

# What decides about the steps, and may be set at any time: of any layer, of convolutions and dense
# layers, and of ReLUs. It is read from their `vars`, because Keras's properties would take longer
# than a small map's convolution.
SETTINGS_OF_ALL = ("activity_regularizer",)
SETTINGS = *SETTINGS_OF_ALL, "activation", "lora_enabled", "_dtype_policy"
SETTINGS_OF_RELU = *SETTINGS_OF_ALL, "max_value", "negative_slope", "threshold"


class Step(NamedTuple):
    """One call in a graph."""

    run: Callable[[dict], None]  # adds the outputs by their ids to the tensors that it gets
    reads: set[int]
    writes: set[int]


class FastInference:
    """The inference of a functional model on PyTorch.

    Args:
        model: the model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.nodes = calls(model)
        self.outputs = model.outputs
        self.hooks = hooks_of(model.layers, FORWARD_HOOKS)
        self.told_to_train = any(node.arguments.kwargs.get("training") for node in self.nodes)
        self.settings = [
            (vars(node.operation), name)
            for node in self.nodes
            for name in _settings(node.operation)
            if name in vars(node.operation)
        ]
        self.values: list | None = None
        self.known: list = []

    def steps(self) -> list | None:
        """Returns the steps, each with the tensors that no later step reads.

        The result is `None` if more than the outputs is wanted: if a layer has hooks, or was told
        to train.
        """
        if self.told_to_train or any(self.hooks):
            return None
        values = [layer[name] for layer, name in self.settings]
        if values != self.values:
            steps = inference_steps(self.nodes, self.outputs)
            last = last_reads([(step.reads, step.writes) for step in steps], self.outputs)
            self.known = list(zip([step.run for step in steps], last, strict=True))
            self.values = values
        return self.known


def _settings(operation) -> tuple[str, ...]:
    if type(operation) is keras.layers.ReLU:
        return SETTINGS_OF_RELU
    fast = hasattr(operation, "can_infer") or type(operation) is keras.layers.Dense
    return SETTINGS if fast else SETTINGS_OF_ALL


def inference_steps(nodes: Iterable, outputs: list) -> list[Step]:
    """Returns the steps that compute `outputs` from `nodes`, in an order in which they can run.

    Args:
        nodes: the calls of the graph, without its inputs, each after those it reads.
        outputs: list of `keras.KerasTensor`.
    """
    nodes = list(nodes)
    readers = only_readers(nodes, outputs)
    taken: set[int] = set()
    chains = {}
    for node in nodes:
        if _starts_chain(node) and id(node) not in taken:
            chain = _chain(node, readers, taken)
            taken.update(map(id, chain))
            chains[id(chain[-1])] = chain
    steps = [step for part in _by_dtype(chains.values()) for step in _weights(part)]
    for node in nodes:
        if id(node) in chains:
            steps.append(_convolution(chains[id(node)]))
        elif id(node) not in taken:
            steps.append(_dense(node) if _is_dense(node) else _layer(node))
    return steps


def _by_dtype(chains) -> list[list]:
    parts: dict[str, list] = {}
    for chain in chains:
        parts.setdefault(chain[0].operation.compute_dtype, []).append(chain)
    return list(parts.values())


def _starts_chain(node) -> bool:
    convolution = node.operation
    if not hasattr(convolution, "can_infer") or not convolution.can_infer():
        return False
    return _is_plain(node, convolution.compute_dtype)


def _chain(node, readers, taken) -> list:
    """Returns a convolution with the BN, the sum of two maps and the ReLU after it, if any."""
    chain = [node]
    for follows in _followers(node.operation):
        reader = readers.get(id(chain[-1].outputs[0]))
        if reader is None or id(reader) in taken:
            continue
        if follows(reader) and _is_plain(reader, node.operation.compute_dtype):
            chain.append(reader)
    return chain


def _is_plain(node, dtype) -> bool:
    """Whether Keras's call would cast nothing and add no loss."""
    if getattr(node.operation, "activity_regularizer", None) is not None:
        return False
    return all(tensor.dtype == dtype for tensor in (*node.input_tensors, *node.outputs))


def _followers(convolution) -> tuple:
    """Returns what may follow: nothing behind a ReLU of the layer's own, no BN behind a bias."""
    if convolution.rectifies():
        return ()
    return (_is_sum, _is_relu) if convolution.use_bias else (_is_norm, _is_sum, _is_relu)


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


def _weights(chains) -> list[Step]:
    """Returns what reads the kernels and biases of convolutions, with the BN after each in them.

    The variables are found once, because that takes as long as folding.
    """
    normed = [chain for chain in chains if len(chain) > 1 and _is_norm(chain[1])]
    others = [chain for chain in chains if chain not in normed]
    return [make(part) for make, part in ((_folded, normed), (_own, others)) if part]


def _folded(chains) -> Step:
    keys, norms = [id(chain[0]) for chain in chains], [chain[1].operation for chain in chains]
    kernels = [chain[0].operation.kernel for chain in chains]
    variables = [*kernels, *(variable for norm in norms for variable in norm.folds())]
    count = len(kernels)

    def run(tensors):
        values = values_of(variables)
        epsilons = [norm.epsilon for norm in norms]
        means, variances, gammas, betas = (values[count + place :: 4] for place in range(4))
        folded = fold_norms(values[:count], means, variances, gammas, betas, epsilons)
        tensors.update(zip(keys, folded, strict=True))

    return Step(run, set(), set(keys))


def _own(chains) -> Step:
    keys, layers = [id(chain[0]) for chain in chains], [chain[0].operation for chain in chains]
    kernels = [layer.kernel for layer in layers]
    variables = [*kernels, *(layer.bias for layer in layers if layer.use_bias)]

    def run(tensors):
        values = values_of(variables)
        biases = iter(values[len(kernels) :])
        pairs = [
            (kernel, next(biases) if layer.use_bias else None)
            for kernel, layer in zip(values[: len(kernels)], layers, strict=True)
        ]
        tensors.update(zip(keys, pairs, strict=True))

    return Step(run, set(), set(keys))


def _convolution(chain) -> Step:
    from keras_dla.ops.torch.inference import conv

    first, *others = chain
    (x,), (result,) = map(id, first.input_tensors), map(id, chain[-1].outputs)
    inner = {id(tensor) for node in chain for tensor in node.outputs}
    sums = [node.input_tensors for node in others if _is_sum(node)]
    summands = [id(tensor) for tensors in sums for tensor in tensors if id(tensor) not in inner]
    convolution, weights = first.operation, id(first)
    strides, data_format = convolution.strides, convolution.data_format
    rectified = convolution.rectifies() or _is_relu(chain[-1])

    def run(tensors):
        other = tensors[summands[0]] if summands else None
        kernel, bias = tensors[weights]
        tensors[result] = conv(tensors[x], kernel, bias, strides, other, rectified, data_format)

    return Step(run, {x, weights, *summands}, {result})


def _is_dense(node) -> bool:
    """Whether a call is Keras's own dense layer of vectors, with a bias and not quantised."""
    dense, first = node.operation, node.input_tensors[0]
    if type(dense) is not keras.layers.Dense or first.ndim != 2 or not dense.use_bias:
        return False
    if dense.lora_enabled or dense.quantization_mode is not None:
        return False
    return dense.compute_dtype == dense.variable_dtype and _is_plain(node, dense.compute_dtype)


def _dense(node) -> Step:
    dense, x, result = node.operation, id(node.input_tensors[0]), id(node.outputs[0])
    variables, activation = (dense.kernel, dense.bias), dense.activation

    def run(tensors):
        outputs = linear(tensors[x], *values_of(variables))
        tensors[result] = outputs if activation is None else activation(outputs)

    return Step(run, {x}, {result})


def _layer(node) -> Step:
    reads, writes = ({id(t) for t in tensors} for tensors in (node.input_tensors, node.outputs))
    return Step(partial(layer_step(node), False), reads, writes)
