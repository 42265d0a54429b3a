"""Positions that a Traccar server forwards: `forward.type` json, one object with `position` and `device`.

Field names and units are those of Traccar's models: `speed` in knots, `course` in degrees, `accuracy` in metres with 0
for unknown. It writes 0 for a speed and a course that a device did not send; nothing tells these from real ones.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from app.feeds.message import Place, Places, times

_MPS_PER_KNOT: Final = 1852 / 3600
_OFFSET_WITHOUT_COLON: Final = re.compile(r"([+-]\d\d)(\d\d)$", re.ASCII)


def _with_colon(time: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """RFC 3339 from what servers write as 2024-05-20T14:29:55.000+0000."""
    return _OFFSET_WITHOUT_COLON.sub(r"\1:\2", time) if isinstance(time, str) else time


PLACES: Final[Places] = {
    "device_id": Place(("device", "uniqueId")),
    "fixed_at": Place(("position", "fixTime"), _with_colon),
    "lon": Place(("position", "longitude")),
    "lat": Place(("position", "latitude")),
    "accuracy_m": Place(("position", "accuracy")),
    "speed_mps": Place(("position", "speed"), times(_MPS_PER_KNOT)),
    "direction_deg": Place(("position", "course")),
}


def is_no_fix(message: Mapping[str, Any]) -> bool:
    """Say whether it is no new fix: the last known position again, or one that the device itself calls invalid."""
    position = message.get("position")
    return isinstance(position, dict) and (position.get("outdated") is True or position.get("valid") is False)


EXAMPLE: Final = {
    "position": {
        "id": 12345,
        "deviceId": 10,
        "protocol": "osmand",
        "serverTime": "2024-03-01T09:30:02.000+00:00",
        "deviceTime": "2024-03-01T09:30:00.000+00:00",
        "fixTime": "2024-03-01T09:30:00.000+00:00",
        "outdated": False,
        "valid": True,
        "latitude": 51.4545,
        "longitude": -2.5879,
        "altitude": 61.0,
        "speed": 2.5,
        "course": 270.0,
        "accuracy": 8.5,
        "attributes": {"batteryLevel": 85},
    },
    "device": {"id": 10, "name": "TAG-00417", "uniqueId": "861230041234567", "status": "online"},
}
