"""A world: wearers with their true ways and what their tags report, and crimes of which it is known who did them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes.plane import Floats, Ints, Plane

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Path(NamedTuple):
    """Where one wearer truly is, as K knots, straight from each to the next."""

    at_s: Floats  # (K,) after the world's start, rising
    x_m: Floats  # (K,)
    y_m: Floats  # (K,)
    is_indoors: Flags  # (K,) from this knot to the next

    def at(self, moments_s: Floats) -> tuple[Floats, Floats]:
        """Give the position at each moment; before the first knot and after the last the wearer is at that knot."""
        return np.interp(moments_s, self.at_s, self.x_m), np.interp(moments_s, self.at_s, self.y_m)


class Reported(NamedTuple):
    """N fixes of one tag, as they would be stored."""

    fixed_at_us: Longs  # (N,) rising
    lon_e7: Ints  # (N,)
    lat_e7: Ints  # (N,)
    accuracy_cm: Longs  # (N,) radius that is meant to hold 95 of 100 positions; 0 is unknown
    source: Longs  # (N,) as in matcher.fixes
    is_outlier: Flags  # (N,) known here alone


class Crime(NamedTuple):
    """One crime: as it is reported, and the truth of it."""

    code: str  # offence
    lon_deg: float  # as reported
    lat_deg: float
    from_us: int
    to_us: int
    x_m: float  # where it truly was
    y_m: float
    act_from_us: int  # when the offender was there
    act_to_us: int
    offender: int  # row of the world's wearers
    is_near_own_place: bool


class World(NamedTuple):
    """Wearers by row, and crimes."""

    name: str
    seed: int
    start_us: int
    plane: Plane
    paths: list[Path]
    reported: list[Reported]
    crimes: list[Crime]
