"""A ping as the database and the matcher know it: fixed-point fields, and many of them packed into one value."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# What one fix is stored as. Little-endian and without gaps, because packed pings outlive the process that packed them.
PING: Final = np.dtype(
    [
        ("device_id", "<i4"),
        ("fixed_at_us", "<i8"),  # since 1970-01-01 UTC
        ("source", "<i2"),  # 0 unknown, 1 gps, 4 rf, 5 lbs, 6 wifi
        ("lon_e7", "<i4"),  # 1e-7 degrees
        ("lat_e7", "<i4"),
        ("accuracy_cm", "<i4"),  # -1 unknown, as in the next two
        ("speed_cmps", "<i4"),
        ("direction_cdeg", "<i4"),  # 0.01 degrees clockwise from north, below 36,000
    ]
)
# Names exactly one fix of one device: fixes that agree in these are one ping, or a conflict.
KEY: Final = ("device_id", "fixed_at_us", "source")

Pings = NDArray[np.void]  # (N,) of dtype PING

_VERSION = 1


def pack(pings: Pings) -> bytes:
    """Pack pings for ping_batch.payload: a version byte, then the rows. 34 bytes a ping."""
    assert pings.dtype == PING
    return bytes([_VERSION]) + pings.tobytes()


def unpack(payload: bytes) -> Pings:
    """Give the pings that `pack` packed, as a read-only array (N,), in their order; no copy is made.

    Raises ValueError if another version packed them or the end is missing.
    """
    if payload[:1] != bytes([_VERSION]):
        raise ValueError(
            f"packed pings of version {payload[:1].hex() or 'none'}; this program reads version {_VERSION}"
        )
    return np.frombuffer(payload, PING, offset=1)
