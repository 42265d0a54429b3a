"""Who wore which tag when, as it is read."""

from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.activations.schemas import DeviceActivations, EffectiveActivation, ReceivedActivation
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound

FIND_DEVICE = "SELECT device_id FROM device WHERE contractor_id = $1 AND serial = $2"

RECEIVED = """
SELECT a.activation_ref, a.revision, a.wearer_id, w.reference, a.fitted_at, a.removed_at, a.is_void, a.received_at
FROM activation a JOIN wearer w USING (wearer_id)
WHERE a.device_id = $1 ORDER BY a.activation_ref, a.revision
"""

EFFECTIVE_OF_DEVICE = """
SELECT d.serial, e.wearer_id, w.reference, e.from_at, nullif(e.to_at, 'infinity') AS to_at, e.activation_ref,
    e.revision, e.is_cut_short
FROM effective_activation e JOIN device d USING (device_id) JOIN wearer w USING (wearer_id)
WHERE e.device_id = $1 ORDER BY e.from_at
"""


async def find_device_activations(connection: Connection, viewer: Viewer, serial: str) -> DeviceActivations:
    """Give a tag's fittings as received and as they count. Raises NotFound unless it is the viewer's own."""
    device_id = await connection.fetchval(FIND_DEVICE, viewer.organisation_id, serial)
    if device_id is None:
        raise NotFound("There is no device with this id, or this key may not see it.")
    received = await connection.fetch(RECEIVED, device_id)
    effective = await connection.fetch(EFFECTIVE_OF_DEVICE, device_id)
    wearers = {row["wearer_id"] for row in received}
    await record(connection, viewer, "activations.list", f"device={device_id}", wearers)
    return DeviceActivations(
        device_id=serial,
        received=[_received(row) for row in received],
        effective=[_effective(row) for row in effective],
    )


EFFECTIVE_OF_WEARER = """
SELECT d.serial, e.wearer_id, w.reference, e.from_at, nullif(e.to_at, 'infinity') AS to_at, e.activation_ref,
    e.revision, e.is_cut_short
FROM effective_activation e JOIN device d USING (device_id) JOIN wearer w USING (wearer_id)
WHERE e.wearer_id = $1 ORDER BY e.from_at, e.device_id
"""


async def find_wearer_activations(connection: Connection, wearer_id: UUID) -> list[EffectiveActivation]:
    """Give the tags that a wearer wore, and when; the caller has checked who asks, and records it."""
    return [_effective(row) for row in await connection.fetch(EFFECTIVE_OF_WEARER, wearer_id)]


def _received(row: asyncpg.Record) -> ReceivedActivation:
    return ReceivedActivation(
        activation_id=row["activation_ref"],
        revision=row["revision"],
        wearer_id=row["wearer_id"],
        wearer_reference=row["reference"],
        fitted_at=row["fitted_at"],
        removed_at=row["removed_at"],
        void=row["is_void"],
        received_at=row["received_at"],
    )


def _effective(row: asyncpg.Record) -> EffectiveActivation:
    return EffectiveActivation(
        device_id=row["serial"],
        wearer_id=row["wearer_id"],
        wearer_reference=row["reference"],
        from_at=row["from_at"],
        to_at=row["to_at"],
        activation_id=row["activation_ref"],
        revision=row["revision"],
        is_cut_short=row["is_cut_short"],
    )
