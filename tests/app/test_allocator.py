"""What arrays took goes back to the system."""

import platform
import subprocess
import sys

import pytest

# An array of 30 MB that goes is what makes glibc keep those of 2 MB that come after it.
STAY_SMALL = """
import numpy as np, psutil
from app.allocator import give_memory_back
give_memory_back()
np.ones(30 << 17); np.ones(30 << 17)
before = psutil.Process().memory_info().rss
kept = []
for _ in range(50):
    arrays = np.ones(2 << 17), np.ones(2 << 17)
    kept += [arrays[0], bytes(100_000)]
del arrays
kept = [each for each in kept if isinstance(each, bytes)]
print((psutil.Process().memory_info().rss - before) // 1_000_000)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="elsewhere the allocator is not ours to tell")
def test_what_large_arrays_took_goes_back_though_something_small_came_after_them() -> None:
    said = subprocess.run([sys.executable, "-c", STAY_SMALL], capture_output=True, text=True, timeout=60, check=True)
    assert int(said.stdout) < 20
