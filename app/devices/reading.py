"""Devices as they are read, by the contractor whose they are."""

import asyncpg

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.devices.schemas import Device, WornBy

LIST = """
SELECT d.device_id, d.serial, d.first_seen_at, w.wearer_id, w.reference, e.from_at
FROM device d
LEFT JOIN effective_activation e ON e.device_id = d.device_id AND e.from_at <= now() AND e.to_at > now()
LEFT JOIN wearer w ON w.wearer_id = e.wearer_id
WHERE d.contractor_id = $1 AND d.device_id > $2::bigint AND (e.device_id IS NULL OR NOT $4)
ORDER BY d.device_id LIMIT $3
"""


async def list_devices(
    connection: Connection, viewer: Viewer, after: int, limit: int, *, unassigned: bool
) -> tuple[list[Device], int]:
    """Give the viewer's own devices in the order in which they were made, and the cursor after them."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit, unassigned)
    wearers = [row["wearer_id"] for row in rows if row["wearer_id"] is not None]
    await record(connection, viewer, "devices.list", f"unassigned={unassigned} after={after}", wearers)
    return [_device(row) for row in rows], rows[-1]["device_id"] if rows else after


def _device(row: asyncpg.Record) -> Device:
    worn_by = None
    if row["wearer_id"] is not None:
        worn_by = WornBy(wearer_id=row["wearer_id"], reference=row["reference"], since=row["from_at"])
    return Device(device_id=row["serial"], first_seen_at=row["first_seen_at"], worn_by=worn_by)
