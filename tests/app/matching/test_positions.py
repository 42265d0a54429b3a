"""Positions as they are cut out of what was read."""

import numpy as np

from app.matching.positions import Fitted, Span, cut_all, parts_of
from app.trails.reading import Found
from matcher.context import Fittings

# Two devices with five pings each; every number of a ping tells which it is.
FOUND = Found(np.repeat([1, 2], 5), np.arange(50).reshape(5, 10))


def test_a_wearer_has_what_the_tags_told_while_they_were_on_and_in_the_stretches_asked_for() -> None:
    both = _fitted((1, 0, 2), (2, 3, 7))
    first, nobody, second = cut_all(
        FOUND, parts_of([both, _fitted(), both], [[Span(1, 6)], [Span(0, 9)], [Span(7, 9)]])
    )
    assert first.fixed_at_us.tolist() == [1, 2, 5, 6]
    assert first.fitting.tolist() == [0, 0, 1, 1]
    assert (first.source.tolist(), first.accuracy_cm.tolist()) == ([11, 12, 15, 16], [41, 42, 45, 46])
    assert nobody.fixed_at_us.size == 0
    assert second.fixed_at_us.tolist() == [7]
    assert (second.lon_e7.tolist(), second.lat_e7.tolist()) == ([27], [37])


def test_stretches_may_come_as_an_array() -> None:
    (found,) = cut_all(FOUND, parts_of([_fitted((1, 0, 9))], [np.array([[0, 1], [4, 8]])]))
    assert found.fixed_at_us.tolist() == [0, 1, 4]


def test_columns_lie_in_one_piece_as_the_compiled_kernels_take_them() -> None:
    strided = FOUND._replace(values=np.asfortranarray(FOUND.values))
    (found,) = cut_all(strided, parts_of([_fitted((2, 0, 9))], [[Span(6, 8)]]))
    assert found.fixed_at_us.tolist() == [6, 7, 8]
    assert all(column.flags.c_contiguous for column in found)


def _fitted(*worn: tuple[int, int, int]) -> Fitted:
    """Tags with their device and from when to when they were on."""
    device_id, from_us, to_us = np.array(worn, np.int64).reshape(-1, 3).T.copy()
    return Fitted(device_id, Fittings(from_us, to_us, ("",) * len(worn)))
