"""Locations that OwnTracks sends in HTTP mode: one JSON object, of `_type` location.

Names and units are those of the OwnTracks booklet: `tst` in whole seconds since 1970, `acc` in metres, `vel` in km/h,
`cog` in degrees. A device is known by `topic`, which clients send if they have one, else by its tracker id `tid`.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.feeds.message import Place, Places, is_number, times

_MPS_PER_KMH: Final = 1 / 3.6
_US_PER_S: Final = 1_000_000


def _unless_negative(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """None for a negative number, by which iOS says that it does not know a speed or a course."""
    return None if is_number(value) and value < 0 else value


def _speed_mps(value: Any) -> Any:  # noqa: ANN401
    return times(_MPS_PER_KMH)(_unless_negative(value))


def places_of(message: Mapping[str, Any]) -> Places:
    """Where this message has a ping's values."""
    return {
        "device_id": Place(("topic",) if message.get("topic") is not None else ("tid",)),
        "fixed_at_us": Place(("tst",), times(_US_PER_S)),
        "lon": Place(("lon",)),
        "lat": Place(("lat",)),
        "accuracy_m": Place(("acc",)),
        "speed_mps": Place(("vel",), _speed_mps),
        "direction_deg": Place(("cog",), _unless_negative),
    }


EXAMPLE: Final = {
    "_type": "location",
    "topic": "owntracks/tags/00417",
    "tid": "17",
    "tst": 1709285400,
    "lat": 51.4545,
    "lon": -2.5879,
    "acc": 9,
    "vel": 5,
    "cog": 270,
    "batt": 85,
}
