"""What is replayed: pings of many devices in the order in which they arrive, crimes, and who is known to meet which."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


class Report(NamedTuple):
    """A crime as it is reported, without padding; times are microseconds since 1970-01-01 UTC."""

    reference: str
    offence: str
    from_us: int
    to_us: int
    lon_deg: float
    lat_deg: float


class Story(NamedTuple):
    """N pings of D devices, each worn by one person all the time, and R reported crimes."""

    serials: list[str]  # (D,)
    device: Ints  # (N,) index of `serials`; the rows in the order of their arrival
    fixed_at_us: Longs  # (N,) microseconds since 1970-01-01 UTC
    lon_deg: Floats  # (N,)
    lat_deg: Floats  # (N,)
    reports: list[Report]  # (R,)

    def first(self, pings: int) -> "Story":
        """The same story, ended after so many pings."""
        return self._replace(
            device=self.device[:pings],
            fixed_at_us=self.fixed_at_us[:pings],
            lon_deg=self.lon_deg[:pings],
            lat_deg=self.lat_deg[:pings],
        )


class Question(NamedTuple):
    """What counts as a meeting: so near to a crime's place, so soon before or after it."""

    radius_m: float
    pad_s: float


class Meeting(NamedTuple):
    """A device's pings within radius and padded window of a crime, all bounds inclusive."""

    n_pings: int
    min_dist_m: float
    first_us: int
    last_us: int


Pair = tuple[str, str]  # a crime's reference, a device's serial
Meetings = dict[Pair, Meeting]
