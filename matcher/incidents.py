"""Incidents: where and when something was reported, as arrays."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from matcher.trails import MAX_TIME_US

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

# Nearer to a pole the metric of geo.wgs84 loses its centimetres; further out than this it loses metres.
MAX_LAT_DEG = 85.0
MAX_RADIUS_M = 100_000.0


class Incidents(NamedTuple):
    """I incidents in any order. Padding is in the times already; both ends belong to the window."""

    lon_deg: Floats  # (I,) within 180 degrees
    lat_deg: Floats  # (I,) within MAX_LAT_DEG
    radius_m: Floats  # (I,) 0 to MAX_RADIUS_M
    from_us: Longs  # (I,) microseconds since 1970-01-01 UTC
    to_us: Longs  # (I,) not before from_us


def check_incidents(incidents: Incidents) -> None:
    """Raise ValueError, naming the first incident at fault and its value, unless all is as `Incidents` says."""
    for name, column in incidents._asdict().items():
        kind = np.int64 if name.endswith("_us") else np.float64
        if column.dtype != kind or column.shape != incidents.lon_deg.shape or column.ndim != 1:
            raise ValueError(
                f"{name} of the incidents is {column.dtype}{list(column.shape)}, "
                f"expected {np.dtype(kind)}[{incidents.lon_deg.size}]"
            )
    # Said as what must hold, so that NaN fails each of them.
    _check(np.abs(incidents.lon_deg) <= 180, incidents.lon_deg, "has a longitude outside 180 degrees")
    _check(np.abs(incidents.lat_deg) <= MAX_LAT_DEG, incidents.lat_deg, "has a latitude outside 85 degrees")
    within = (incidents.radius_m >= 0) & (incidents.radius_m <= MAX_RADIUS_M)
    _check(within, incidents.radius_m, "has a radius that is not from 0 to 100,000 m")
    _check(incidents.from_us >= -MAX_TIME_US, incidents.from_us, "starts before the years that can be joined")
    _check(incidents.to_us <= MAX_TIME_US, incidents.to_us, "ends after the years that can be joined")
    _check(incidents.to_us >= incidents.from_us, incidents.to_us - incidents.from_us, "ends before it starts, by us")


def _check(holds: npt.NDArray[np.bool_], values: Floats | Longs, fault: str) -> None:
    if not holds.all():
        first = int(np.argmin(holds))
        raise ValueError(f"incident {first} {fault}: {values[first]}")
