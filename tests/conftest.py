"""What all tests share."""

import collections

import keras
import pytest

from tests.backends import on_pytorch

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


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.name.startswith(LARGE_EXAMPLES):
            item.add_marker(on_pytorch)


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


@pytest.fixture(autouse=True, scope="module")
def release_compiled_functions():
    """Lets go of what JAX compiled for a file of tests, which would add up to gigabytes."""
    yield
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
