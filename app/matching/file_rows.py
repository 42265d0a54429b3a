"""Pings and incidents of files as arrays of the matcher's units, with the rows that can be used."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.matching.file_columns import Columns, Floats, Longs
from matcher.incidents import MAX_LAT_DEG
from matcher.profile import OFFENCES, SOURCES
from matcher.trails import E7_PER_DEGREE

PING_COLUMNS: Final = ("device_id", "fixed_at", "ts", "lon", "lat")
# What the evidence reads besides; each may be missing.
ACCURATE_PING_COLUMNS: Final = (*PING_COLUMNS, "accuracy_m", "source")
INCIDENT_COLUMNS: Final = ("incident_ref", "ts", "from", "to", "lon", "lat")
OFFENCE_COLUMNS: Final = (*INCIDENT_COLUMNS, "offence")

_MOST_ACCURACY_M: Final = 1_000_000


class PingRows(NamedTuple):
    """The N rows of a file of pings that can be used, in its order."""

    device: Longs  # (N,) row of device_id
    device_id: pa.Array  # (D,) in the order in which they appear
    fixed_at_us: Longs  # (N,)
    lon_e7: npt.NDArray[np.int32]  # (N,)
    lat_e7: npt.NDArray[np.int32]  # (N,)
    accuracy_cm: Longs  # (N,) 0 where it is not stated
    source: Longs  # (N,) as matcher.profile.SOURCES numbers them; 0 where it is not stated

    def count_of_unknown_width(self) -> int:
        """How many state neither an accuracy nor a source, so that each takes the widest default but one."""
        return int(np.count_nonzero((self.accuracy_cm == 0) & (self.source == 0)))


class IncidentRows(NamedTuple):
    """The I rows of a file of incidents that can be used, in its order."""

    incident_ref: pa.Array  # (I,)
    offence: list[str]  # (I,) OTHER where it is not stated
    from_us: Longs  # (I,)
    to_us: Longs  # (I,)
    lon_deg: Floats  # (I,)
    lat_deg: Floats  # (I,)


def ping_rows(columns: Columns) -> PingRows:
    """Read pings; their faults are in the columns then. Raises Failure if a column that must be there is missing."""
    time_name = "fixed_at" if columns.has("fixed_at") else "ts"
    columns.require("device_id", time_name, "lon", "lat", said={"ts": "`fixed_at` or `ts`"})
    device_id = columns.labels("device_id")
    time_us = columns.times_us(time_name)
    lon_deg, lat_deg = columns.numbers("lon", 180), columns.numbers("lat", 90)
    columns.reject(
        "lon", "null_island", "and lat are 0, which is what a tag without a fix says", (lon_deg == 0) & (lat_deg == 0)
    )
    accuracy_m = columns.numbers_if_any("accuracy_m", _MOST_ACCURACY_M, 0.0)
    columns.reject("accuracy_m", "negative", "is negative", accuracy_m < 0)
    source = columns.codes_if_any("source", SOURCES, 0, "unknown_source")
    good = columns.is_good
    # Numbered as they appear: files in the order of devices and times, as most are, need no sorting then.
    numbered = device_id.filter(pa.array(good)).dictionary_encode()
    return PingRows(
        np.asarray(numbered.indices, np.int64),
        numbered.dictionary,
        time_us[good],
        _e7(lon_deg[good]),
        _e7(lat_deg[good]),
        np.rint(accuracy_m[good] * 100).astype(np.int64),
        source[good],
    )


def _e7(degrees: Floats) -> npt.NDArray[np.int32]:
    return np.rint(degrees * E7_PER_DEGREE).astype(np.int32)


def incident_rows(columns: Columns) -> IncidentRows:
    """Read incidents; their faults are in the columns then. Raises Failure as `ping_rows`."""
    is_window = columns.has("from") and columns.has("to")
    from_name, to_name = ("from", "to") if is_window else ("ts", "ts")
    columns.require("incident_ref", from_name, to_name, "lon", "lat", said={"ts": "`ts`, or `from` and `to`"})
    incident_ref = columns.labels("incident_ref")
    from_us = columns.times_us(from_name)
    to_us = columns.times_us(to_name) if is_window else from_us
    lon_deg, lat_deg = columns.numbers("lon", 180), columns.numbers("lat", MAX_LAT_DEG)
    columns.reject(to_name, "out_of_range", "is before from", to_us < from_us)
    codes = {offence: code for code, offence in enumerate(OFFENCES)}
    offence = columns.codes_if_any("offence", codes, codes["OTHER"], "unknown_offence")
    good = columns.is_good
    return IncidentRows(
        incident_ref.filter(pa.array(good)),
        [OFFENCES[code] for code in offence[good].tolist()],
        from_us[good],
        to_us[good],
        lon_deg[good],
        lat_deg[good],
    )
