"""The fixed point in which pings are stored: units, ranges, and what stands for unknown.

A value is multiplied and rounded to the nearest whole number, halves to the even one, in double precision.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

UNKNOWN: Final = -1  # accuracy_cm, speed_cmps, direction_cdeg
FULL_TURN_CDEG: Final = 36_000
_INT32_MAX: Final = 2**31 - 1

# Names on the wire are taken in any case. 0 is unknown; the numbers are those of the field's geolocation mechanisms.
SOURCES: Final = {"unknown": 0, "gps": 1, "rf": 4, "lbs": 5, "wifi": 6}


class Quantity(NamedTuple):
    """A number on the wire and how it is stored; both bounds are inclusive, in the wire's unit."""

    name: str
    column: str  # of PING
    per_unit: float
    low: float
    high: float
    is_optional: bool = True
    is_never_negative: bool = False


QUANTITIES: Final = (
    Quantity("lon", "lon_e7", 1e7, -180.0, 180.0, is_optional=False),
    Quantity("lat", "lat_e7", 1e7, -90.0, 90.0, is_optional=False),
    Quantity("accuracy_m", "accuracy_cm", 100.0, 0.0, _INT32_MAX / 100.0, is_never_negative=True),
    Quantity("speed_mps", "speed_cmps", 100.0, 0.0, _INT32_MAX / 100.0, is_never_negative=True),
    Quantity("direction_deg", "direction_cdeg", 100.0, 0.0, 360.0),
)


def to_fixed_point(quantity: Quantity, values: NDArray[np.float64]) -> NDArray[np.int32]:
    """Store values, (N,), all within the quantity's bounds. A direction of 360 degrees is 0."""
    fixed = np.rint(values * quantity.per_unit).astype(np.int32)
    return fixed % FULL_TURN_CDEG if quantity.name == "direction_deg" else fixed
