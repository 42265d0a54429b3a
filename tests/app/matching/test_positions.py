"""Positions as they are cut out of what was read."""

import numpy as np

from app.matching.positions import Fitted, Span, _parts, _Stored
from app.trails.reading import Found
from matcher.context import Fittings


def test_columns_lie_in_one_piece_as_the_compiled_kernels_take_them() -> None:
    found = Found(np.repeat([1, 2], 5), np.arange(50).reshape(5, 10))
    fitted = Fitted(np.array([2]), Fittings(np.array([0]), np.array([100]), ("",)))
    positions = _Stored(found).cut(list(_parts(fitted, [Span(6, 8)])))
    assert positions.fixed_at_us.tolist() == [6, 7, 8]
    assert all(column.flags.c_contiguous for column in positions)
