"""Metres east and north of a point: the plane that scenes are drawn in."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.wgs84 import ECCENTRICITY_SQUARED, SEMI_MAJOR_M

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Plane(NamedTuple):
    """One scale for each axis, from the ellipsoid's radii at the point.

    Across a town distances keep to 1 in 1,000, which is 10 cm at the size of a crime's circle.
    """

    lon_deg: float
    lat_deg: float

    def to_e7(self, x_m: Floats, y_m: Floats) -> tuple[Ints, Ints]:
        """Give longitude and latitude in 1e-7 degrees."""
        east_m, north_m = self._metres_per_degree()
        lon_e7, lat_e7 = (self.lon_deg + x_m / east_m) * 1e7, (self.lat_deg + y_m / north_m) * 1e7
        return np.rint(lon_e7).astype(np.int32), np.rint(lat_e7).astype(np.int32)

    def from_degrees(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Floats, Floats]:
        """Give metres east and north."""
        east_m, north_m = self._metres_per_degree()
        return (lon_deg - self.lon_deg) * east_m, (lat_deg - self.lat_deg) * north_m

    def _metres_per_degree(self) -> tuple[float, float]:
        lat_rad = np.radians(self.lat_deg)
        w2 = 1 - ECCENTRICITY_SQUARED * np.sin(lat_rad) ** 2
        east_m = np.radians(SEMI_MAJOR_M / np.sqrt(w2) * np.cos(lat_rad))
        return float(east_m), float(np.radians(SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED) / w2**1.5))
