"""Which neighbouring pings of a trail are joined by a line."""

import math
from typing import NamedTuple

from matcher.lines import LineRule

# Over this far the plane about an incident is tens of metres from the geodesic (docs/decisions/0001-the-join.md).
MAX_LINE_M = 200_000.0

NO_LINES = LineRule(0, 0.0)


class Between(NamedTuple):
    """Which pings are joined by a line: at most so long apart, with at most this speed between them."""

    max_gap_s: float
    max_speed_mps: float


def line_rule(between: Between | None) -> LineRule:
    """Give the same for kernels. Without `between` no line counts.

    Raises ValueError if a number is not from 0 up, or lines could be longer than MAX_LINE_M.
    """
    if between is None:
        return NO_LINES
    for name, value in between._asdict().items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a number from 0 up: {value}")
    if between.max_gap_s * between.max_speed_mps > MAX_LINE_M:
        raise ValueError(
            f"max_gap_s times max_speed_mps must be at most {MAX_LINE_M:,.0f} m, so that a line between two pings is "
            f"straight in a plane: {between.max_gap_s} s at {between.max_speed_mps} m/s"
        )
    return LineRule(round(between.max_gap_s * 1e6), float(between.max_speed_mps))
