"""Fetching memory changes nothing, wherever it is."""

import numpy as np
import numpy.typing as npt
import pytest

from geo.ahead import fetch
from geo.jit import kernel


@kernel
def _sum(numbers: npt.NDArray[np.int64], ahead: int) -> int:
    total = 0
    for k in range(numbers.size):
        fetch(numbers, k + ahead)
        total += numbers[k]
    return total


@pytest.mark.parametrize("ahead", [0, 7, -(2**40), 2**40])
def test_what_is_fetched_may_be_anywhere(ahead: int) -> None:
    assert _sum(np.arange(1_000), ahead) == 499_500
