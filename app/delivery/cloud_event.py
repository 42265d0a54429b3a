"""What a webhook says: a CloudEvents 1.0 event in structured mode, with ids and where to read more, no more."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from app.identity import alert_number

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


class AlertEvent(NamedTuple):
    """Something that happened to an alert, as it stands on the stream."""

    event_id: UUID
    kind: str
    at: datetime
    alert_id: UUID
    revision: int
    position: int


def alert_path(alert_id: UUID) -> str:
    """Give where an alert is read, below the address of the service."""
    return f"/v1/alerts/{alert_id}"


def encode_alert_event(event: AlertEvent, public_url: str) -> bytes:
    """Encode an event; the same bytes in every attempt."""
    path = alert_path(event.alert_id)
    told = {
        "alert_id": str(event.alert_id),
        "number": alert_number(event.alert_id),
        "revision": event.revision,
        "position": event.position,
        "url": f"{public_url}{path}",
    }
    return _encode(event.event_id, f"alert.{event.kind}", event.at, public_url, told, subject=path)


def encode_test(event_id: UUID, now: datetime, public_url: str) -> bytes:
    """Encode an event that says that it is a test."""
    return _encode(event_id, "test", now, public_url, {}, subject=None)


def _encode(
    event_id: UUID, kind: str, at: datetime, public_url: str, told: dict[str, Any], subject: str | None
) -> bytes:
    event = {
        "specversion": "1.0",
        "id": str(event_id),
        "source": public_url or "/",
        "type": f"trailmatch.{kind}",
        "time": at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": told,
    }
    return msgspec.json.encode(event if subject is None else event | {"subject": subject})
