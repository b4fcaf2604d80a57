"""Figures without a window: matplotlib when it is needed, and files that are whole or not there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dla.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(caller: str, width: float, height: float) -> "Figure":
    """Returns a figure of so many inches. It belongs to no window, so there is none to close."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"keras_dla.analysis.{caller} needs matplotlib: pip install 'keras-dla[plot]' ({error})"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: "Figure", path: str | os.PathLike, dpi: int = 150) -> None:
    """Writes a figure in the format of the path's ending, or as PNG where there is none."""
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"`path` must lie in a folder that exists, but is {str(path)!r}.")
    with replacing(path) as partial:
        figure.savefig(partial, format=path.suffix[1:] or "png", dpi=dpi)
