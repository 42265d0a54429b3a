"""Fixes of one device at one time from one source: which of them is the ping, and which lie beside it.

Of fixes that differ the ping is the smallest by (unknown accuracy last, accuracy, lon, lat, speed, direction); an
accuracy of 0 counts as unknown here too. No order of arrival has a part in it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.pings.partitions import DAY_US
from app.pings.payload import KEY, Pings

# After the key, the order of what is left to differ in.
_RANK = ("lon_e7", "lat_e7", "speed_cmps", "direction_cdeg")


class Sorted(NamedTuple):
    """Fixes by day, and of a day by key: device, time, source.

    In this order their rows are locked. COPY writes a partition at a time, so by key alone two batches over midnight
    would each hold what the other waits for.
    """

    pings: Pings  # (P,), the smallest fix of each key, rising by day and key
    others: Pings  # (O,), different further fixes of the same keys, in order
    repeats: int  # fixes that stood there more than once


def sort_by_key(fixes: Pings) -> Sorted:
    """Sort fixes, (N,), and say which repeat or contradict each other. 0.2 µs a fix, 0.5 if keys repeat."""
    fixes = fixes[_by_day_and_key(fixes)]
    if not _equal_next(fixes, KEY).any():
        return Sorted(fixes, fixes[:0], 0)
    fixes = fixes[_order(fixes)]
    is_repeat = np.append(False, _equal_next(fixes, fixes.dtype.names or ()))
    different = fixes[~is_repeat]
    is_other = np.append(False, _equal_next(different, KEY))
    return Sorted(different[~is_other], different[is_other], int(np.count_nonzero(is_repeat)))


class Merged(NamedTuple):
    """Fixes of several bodies, each key once."""

    pings: Pings  # (P,), rising by day and key, as in Sorted
    body: NDArray[np.intp]  # (P,), whose each is

    def without(self, bodies: set[int]) -> "Merged":
        """Leave out the fixes of these bodies."""
        is_kept = ~np.isin(self.body, list(bodies))
        return Merged(self.pings[is_kept], self.body[is_kept])


def merge(bodies: list[Pings]) -> tuple[Merged, set[int]]:
    """Put bodies of fixes together, and say which of them repeat or contradict themselves or an earlier one.

    Those are left out. 0.2 µs a fix.
    """
    pings = np.concatenate(bodies)
    order = _by_day_and_key(pings)
    merged = Merged(pings[order], np.repeat(np.arange(len(bodies)), [body.size for body in bodies])[order])
    # The sort is stable: of equal keys the earlier body's comes first.
    again = set(merged.body[np.append(False, _equal_next(merged.pings, KEY))[: pings.size]].tolist())
    return merged.without(again) if again else merged, again


def is_smaller(fixes: Pings, than: Pings) -> NDArray[np.bool_]:
    """For each of two equally long lists of fixes with the same keys, whether the first one is the ping, (N,)."""
    both = np.concatenate([fixes, than])
    place = np.empty(both.size, np.int64)
    place[_order(both)] = np.arange(both.size)
    return place[: fixes.size] < place[fixes.size :]


def _by_day_and_key(fixes: Pings) -> NDArray[np.intp]:
    return np.lexsort(_day_and_key(fixes)[::-1])


def _order(fixes: Pings) -> NDArray[np.intp]:
    # As unsigned numbers, unknown accuracies (-1, 0) come after every known one.
    accuracy = (fixes["accuracy_cm"] - 1).astype(np.uint32)
    columns: list[NDArray[np.integer]] = [*_day_and_key(fixes), accuracy, *(fixes[name] for name in _RANK)]
    return np.lexsort(columns[::-1])


def _day_and_key(fixes: Pings) -> list[NDArray[np.signedinteger]]:
    keys = [fixes[name] for name in KEY]
    days = fixes["fixed_at_us"] // DAY_US
    return keys if (days == days[:1]).all() else [days, *keys]


def _equal_next(fixes: Pings, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether each fix but the first equals the one before it in these fields, (N - 1,), or (0,)."""
    is_equal = np.ones(max(fixes.size - 1, 0), np.bool_)
    for name in names:
        is_equal &= fixes[name][1:] == fixes[name][:-1]
    return is_equal
