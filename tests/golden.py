"""The arrays computed with the authors' code, and how to compare with them."""

from pathlib import Path

import keras
import numpy as np

from tests.data.shared import shared_path

DATA = Path(__file__).parent / "data"

# The authors' file name of each network: our interaction, and the prefix of stage 1 there.
NETWORKS = {
    "resnet": (None, "layer1."),
    "senet": ("se", "layer1."),
    "ecanet": ("eca", "layer1."),
    "dia_resnet": ("dianet", "layer1."),
    "mrla_base": ("mrla_b", "stages.0."),
    "mrla_light": ("mrla_l", "layer1."),
    "dla_b": ("dla_b", "stages.0."),
    "dla_l": ("dla_l", "stages.0."),
}


def load(name: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a golden file that lies beside the tests."""
    with np.load(DATA / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def load_shared(name: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a golden file of the shared folder; skips the test without it."""
    path = shared_path("data", "golden", f"{name}.npz")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def part(arrays: dict, prefix: str, new_prefix: str = "") -> dict[str, np.ndarray]:
    """Returns the arrays whose name begins with `prefix`, under the rest of their name."""
    return {
        new_prefix + name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def as_format(images: np.ndarray, data_format: str) -> np.ndarray:
    """Returns NCHW images in `data_format`."""
    return images if data_format == "channels_first" else images.transpose(0, 2, 3, 1)


def assert_close(actual, expected, tolerance: float) -> None:
    """Asserts that no entry is off by more than `tolerance` of the largest expected entry."""
    actual = keras.ops.convert_to_numpy(actual)
    assert actual.shape == expected.shape
    scale = max(float(np.abs(expected).max()), 1e-3)
    error = float(np.abs(actual - expected).max()) / scale
    assert error <= tolerance, f"off by {error:.2e} of the largest entry, allowed {tolerance:.0e}"
