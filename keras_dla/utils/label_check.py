"""Checks that a model has a class for every label of a data set, which not every backend does."""

from typing import Any

SPARSE = "sparse_categorical_crossentropy"


def check_classes(model: Any, *datasets: Any) -> None:
    """Raises `ValueError` if a data set has labels that the model has no class for.

    JAX would continue to train, with a loss that looks good. Only data sets that know all of their
    labels (those with a method `check_classes`, or whose attribute `dataset` has it) are checked,
    and only if the loss reads labels as indices of the model's outputs.

    Args:
        model: a compiled model.
        *datasets: the data sets passed to `model.fit`.
    """
    if not _reads_indices(getattr(model, "loss", None)):
        return
    for data in datasets:
        while not hasattr(data, "check_classes") and hasattr(data, "dataset"):
            data = data.dataset
        if hasattr(data, "check_classes"):
            data.check_classes(model.output_shape[-1])


def _reads_indices(loss: Any) -> bool:
    """Returns whether a loss, given as name, function or object, is the sparse cross-entropy."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return name.replace("_", "").lower() == SPARSE.replace("_", "")
