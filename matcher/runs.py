"""Sorting numbers that come in rising runs, as pings of several devices do from one slot after the other."""

import numpy as np
import numpy.typing as npt

from geo.jit import kernel

Longs = npt.NDArray[np.int64]


@kernel
def sort_runs(numbers: Longs, scratch: Longs, begin: int, end: int) -> None:
    """Sort numbers[begin:end] by merging neighbouring runs (D. Knuth, TAOCP vol. 3, 5.2.4, natural merges).

    `scratch` is as long as the stretch or longer. Cost: one pass, and one more for each doubling of the number of runs.
    Quicksort took twice as long on what is looked up here (docs/decisions/0010-the-index-of-trails.md).
    """
    runs = 2
    while runs > 1:
        runs, at = 0, begin
        while at < end:
            middle = _end_of_run(numbers, at, end)
            if middle == end and runs == 0:
                return
            run_end = _end_of_run(numbers, middle, end) if middle < end else end
            left, right = at, middle
            for k in range(at - begin, run_end - begin):
                is_left = right == run_end or (left < middle and numbers[left] <= numbers[right])
                scratch[k] = numbers[left] if is_left else numbers[right]
                left += is_left
                right += not is_left
            runs, at = runs + 1, run_end
        for k in range(end - begin):
            numbers[begin + k] = scratch[k]


@kernel
def _end_of_run(numbers: Longs, begin: int, end: int) -> int:
    at = begin + 1
    while at < end and numbers[at] >= numbers[at - 1]:
        at += 1
    return at
