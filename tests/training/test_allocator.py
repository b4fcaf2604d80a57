import platform
import subprocess
import sys

import pytest

from keras_dla.training import keep_freed_memory
from tests.backends import on_pytorch

PROGRAM = """
import resource
from keras_dla.training import keep_freed_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        bytearray(64 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

handed_back = faults(10)
assert keep_freed_memory()
faults(1)
print(handed_back, faults(10))
"""


@on_pytorch
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again():
    """Every page that the system hands out is a fault."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    handed_back, kept = map(int, done.stdout.split())
    assert kept < handed_back / 10


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
