"""What all tests share."""

import collections
import gc
import random

import numpy as np
import pytest

from tests.backends import BACKEND, draw_quickly, on_pytorch

# So that an assertion that fails in a helper shows its values.
pytest.register_assert_rewrite(
    "tests.golden", "tests.layers.block_attentions", "tests.layers.cells"
)


# Their examples build the paper's own networks, or train a detector.
LARGE_EXAMPLES = (
    "keras_dla.analysis.attention_scores",
    "keras_dla.analysis.paper.paper_tables",
    "keras_dla.detection.backbones",
    "keras_dla.detection.coco.evaluation",
    "keras_dla.detection.detect",
    "keras_dla.detection.faster_rcnn",
    "keras_dla.detection.retinanet",
    "keras_dla.models.dla_resnet",
)
SLOWEST = 20
# These start first, so that no process is left alone with one of them at the end.
LONG_FILES = (
    "tests/models/test_torch_compile.py",
    "tests/interop/test_every_export.py",
    "tests/docs/test_pages.py",
    "tests/interop/test_exporting.py",
    "tests/detection/test_export.py",
    "tests/training/devices/test_devices.py",
    "tests/detection/test_faster_rcnn.py",
    "tests/detection/test_retinanet.py",
    "tests/models/test_every_network.py",
    "tests/examples/test_train_imagenet.py",
)

draw_quickly()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.nodeid.startswith(LONG_FILES))
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.name.startswith(LARGE_EXAMPLES):
            item.add_marker(on_pytorch)


def pytest_collection_finish():
    """Takes what was imported from what Python's collector looks through again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Prints which files took longest, where it was many that ran."""
    seconds = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.location[0]] += report.duration
    if len(seconds) > SLOWEST:
        terminalreporter.section(f"slowest {SLOWEST} files of {sum(seconds.values()):.0f} s")
        for file, spent in seconds.most_common(SLOWEST):
            terminalreporter.write_line(f"{spent:7.1f} s  {file}")


@pytest.fixture(autouse=True)
def same_draws():
    """Seeds where Keras takes its default seeds from: a test passes today as it did yesterday."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True, scope="module")
def release_compiled_functions():
    """Lets go of what JAX compiled for a file of tests, which would add up to gigabytes."""
    yield
    if BACKEND == "jax":
        import jax

        jax.clear_caches()
