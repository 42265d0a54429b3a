"""When somebody was on licence, as it is read by those who are responsible for them."""

from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.activations.effective import FOREVER
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound
from app.licences.schemas import LicencePeriod, ReceivedLicence, WearerLicences
from app.licences.store import find_periods

FIND_WEARER = """
SELECT wearer_id FROM wearer WHERE $1 IN (registered_by, force_id, probation_id) AND reference = $2
"""

RECEIVED = """
SELECT l.licence_ref, l.revision, o.code AS organisation, l.from_at, l.to_at, l.is_void, l.received_at,
    EXISTS (
        SELECT FROM effective_licence AS e
        WHERE (e.organisation_id, e.licence_ref, e.revision) = (l.organisation_id, l.licence_ref, l.revision)
    ) AS counts
FROM licence l JOIN organisation o USING (organisation_id)
WHERE l.wearer_id = $1 ORDER BY o.code, l.licence_ref, l.revision
"""


async def find_wearer_licences(connection: Connection, viewer: Viewer, reference: str) -> WearerLicences:
    """Give a wearer's licences as received and as they count. Raises NotFound unless the viewer may see the wearer."""
    wearer_id = await connection.fetchval(FIND_WEARER, viewer.organisation_id, reference)
    if wearer_id is None:
        raise NotFound("There is no wearer with this reference, or this key may not see them.")
    received = await connection.fetch(RECEIVED, wearer_id)
    await record(connection, viewer, "licences.list", wearer_ids=[wearer_id])
    return WearerLicences(
        wearer_id=wearer_id,
        wearer_reference=reference,
        received=[_received(row) for row in received],
        on_licence=await find_licence_periods(connection, wearer_id),
    )


async def find_licence_periods(connection: Connection, wearer_id: UUID) -> list[LicencePeriod]:
    """Give when a wearer is on licence; the caller has checked who asks, and records it."""
    periods = (await find_periods(connection, [wearer_id]))[wearer_id]
    return [
        LicencePeriod(from_at=each.from_at, to_at=None if each.to_at == FOREVER else each.to_at) for each in periods
    ]


def _received(row: asyncpg.Record) -> ReceivedLicence:
    return ReceivedLicence(
        licence_id=row["licence_ref"],
        revision=row["revision"],
        organisation=row["organisation"],
        from_at=row["from_at"],
        to_at=row["to_at"],
        void=row["is_void"],
        counts=row["counts"],
        received_at=row["received_at"],
    )
