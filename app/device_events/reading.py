"""Device events as they are read, by the contractor whose they are."""

from datetime import datetime
from typing import NamedTuple

import asyncpg

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.device_events.schemas import DeviceEvent


class Filter(NamedTuple):
    """Which events to give; None leaves a part open."""

    serial: str | None = None
    from_at: datetime | None = None  # both ends belong to it
    to_at: datetime | None = None


LIST = """
SELECT e.device_event_id, e.event_ref, e.revision, d.serial, e.kind, e.at, e.detail, e.is_void, e.received_at,
    a.wearer_id,
    EXISTS (SELECT FROM effective_device_event AS c WHERE c.device_event_id = e.device_event_id) AS counts
FROM device_event e
JOIN device d USING (device_id)
LEFT JOIN effective_activation a ON a.device_id = e.device_id AND a.from_at <= e.at AND a.to_at > e.at
WHERE e.contractor_id = $1 AND e.device_event_id > $2
    AND ($4::text IS NULL OR d.serial = $4)
    AND ($5::timestamptz IS NULL OR e.at >= $5) AND ($6::timestamptz IS NULL OR e.at <= $6)
ORDER BY e.device_event_id LIMIT $3
"""


async def list_device_events(
    connection: Connection, viewer: Viewer, after: int, limit: int, wanted: Filter
) -> tuple[list[DeviceEvent], int]:
    """Give every revision of the viewer's own events in the order in which they came, and the cursor after them."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit, *wanted)
    wearers = {row["wearer_id"] for row in rows if row["wearer_id"] is not None}
    asked = " ".join(f"{name}={value}" for name, value in wanted._asdict().items() if value is not None)
    await record(connection, viewer, "device_events.list", f"{asked} after={after}".strip(), wearers)
    return [_event(row) for row in rows], rows[-1]["device_event_id"] if rows else after


def _event(row: asyncpg.Record) -> DeviceEvent:
    return DeviceEvent(
        event_id=row["event_ref"],
        revision=row["revision"],
        device_id=row["serial"],
        kind=row["kind"],
        at=row["at"],
        detail=row["detail"],
        void=row["is_void"],
        counts=row["counts"],
        received_at=row["received_at"],
    )
