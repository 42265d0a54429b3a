"""Trails: the pings of many devices as arrays, the form in which every part of the matcher reads them."""

from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from geo.jit import kernel
from geo.plane import E7_PER_DEGREE

__all__ = [
    "E7_PER_DEGREE",
    "MAX_TIME_US",
    "Ints",
    "Longs",
    "Trails",
    "check_shapes",
    "refuse_trails",
    "trails_from_columns",
]

Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]

# Times beyond this (146,000 years) are refused, so that the difference of two never overflows.
MAX_TIME_US = 2**62


class Trails(NamedTuple):
    """Pings of D devices, N in all, sorted by device and then by time.

    A time may stand more than once within a device (two sources of one fix).
    """

    device_id: Longs  # (D,) any order, whatever the caller means by it; each stands once
    starts: Longs  # (D + 1,) starts[0] == 0, starts[D] == N; device d has the pings starts[d] to starts[d + 1]
    fixed_at_us: Longs  # (N,) microseconds since 1970-01-01 UTC, never falling within a device
    lon_e7: Ints  # (N,) 1e-7 degrees east, within 180 degrees
    lat_e7: Ints  # (N,) 1e-7 degrees north, within 90 degrees


def trails_from_columns(
    device_id: npt.ArrayLike, fixed_at_us: npt.ArrayLike, lon_e7: npt.ArrayLike, lat_e7: npt.ArrayLike
) -> Trails:
    """Make trails of pings in any order: four columns of one length, with units as in `Trails`.

    Pings of one device and one time are put in the order of their positions, so that what is computed from the trails
    never depends on the order of arrival. Cost: none but a look when the rows stand in order already, else a sort.

    Raises ValueError if the columns differ in length.
    """
    device = np.asarray(device_id, dtype=np.int64)
    time = np.asarray(fixed_at_us, dtype=np.int64)
    lon = np.asarray(lon_e7, dtype=np.int32)
    lat = np.asarray(lat_e7, dtype=np.int32)
    lengths = (device.size, time.size, lon.size, lat.size)
    if len(set(lengths)) > 1:
        raise ValueError(f"the columns of pings differ in length: {lengths}")
    if not _is_sorted(device, time):
        order = np.lexsort((lat, lon, time, device))
        device, time, lon, lat = device[order], time[order], lon[order], lat[order]
    first = np.flatnonzero(np.concatenate(([True], device[1:] != device[:-1]))) if device.size else _NONE
    return Trails(device[first], np.append(first, device.size), time, lon, lat)


_NONE = np.empty(0, dtype=np.int64)


def _is_sorted(device: Longs, time: Longs) -> bool:
    """Say whether rows stand in order by device and time, no two of one device and time (those need the full sort)."""
    same_device = device[1:] == device[:-1]
    later = time[1:] > time[:-1]
    return bool(np.all(np.where(same_device, later, device[1:] > device[:-1])))


def refuse_trails(trails: Trails) -> NoReturn:
    """Raise ValueError with the value at fault, of trails in which a ping is not as `Trails` says."""
    step_back = _first_step_back(trails)
    if step_back >= 0:
        before, after = trails.fixed_at_us[step_back - 1 : step_back + 1]
        raise ValueError(f"ping {step_back} is earlier ({after}) than the one before it in its trail ({before})")
    extremes = (int(trails.fixed_at_us.min()), int(trails.fixed_at_us.max()))
    if max(-extremes[0], extremes[1]) > MAX_TIME_US:
        raise ValueError(f"pings from {extremes[0]} to {extremes[1]} us are outside the years that can be joined")
    for name, column, limit in (("longitude", trails.lon_e7, 180), ("latitude", trails.lat_e7, 90)):
        west_or_south, east_or_north = int(column.min()), int(column.max())
        worst = west_or_south if -west_or_south > east_or_north else east_or_north
        if abs(worst) > limit * E7_PER_DEGREE:
            raise ValueError(f"a ping has a {name} outside {limit} degrees: {worst / E7_PER_DEGREE}")
    raise AssertionError("nothing is wrong with these trails")


def check_shapes(trails: Trails) -> None:
    """Raise ValueError unless the arrays are of the types and lengths that `Trails` says.

    The pings themselves are checked by whoever reads them all (matcher.scan).
    """
    devices, pings = trails.device_id.size, trails.fixed_at_us.size
    expected = (("int64", devices), ("int64", devices + 1), ("int64", pings), ("int32", pings), ("int32", pings))
    for (name, column), (kind, size) in zip(trails._asdict().items(), expected, strict=True):
        if column.dtype != kind or column.shape != (size,):
            raise ValueError(f"{name} of the trails is {column.dtype}{list(column.shape)}, expected {kind}[{size}]")
    starts = trails.starts
    if starts[0] != 0 or starts[-1] != pings or np.any(starts[1:] < starts[:-1]):
        raise ValueError(f"starts of the trails must rise from 0 to {pings}, the number of pings: {starts}")


@kernel
def _first_step_back(trails: Trails) -> int:
    """The first ping that is earlier than the one before it in its trail; -1 if there is none."""
    for device in range(trails.device_id.size):
        for i in range(trails.starts[device] + 1, trails.starts[device + 1]):
            if trails.fixed_at_us[i] < trails.fixed_at_us[i - 1]:
                return i
    return -1
