"""Wearers as they are read: by who registered them, and by the force and the probation region that manage them."""

from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.activations.reading import find_wearer_activations
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound
from app.licences.reading import find_licence_periods
from app.wearers.schemas import Wearer, WearerRecord

LIST = """
SELECT w.wearer_id, w.reference, f.code AS force, p.code AS probation, w.created_at, w.updated_at
FROM wearer w
LEFT JOIN organisation f ON f.organisation_id = w.force_id
LEFT JOIN organisation p ON p.organisation_id = w.probation_id
WHERE $1 IN (w.registered_by, w.force_id, w.probation_id)
  AND ($2::uuid IS NULL OR w.wearer_id > $2)
ORDER BY w.wearer_id LIMIT $3
"""


async def list_wearers(connection: Connection, viewer: Viewer, after: UUID | None, limit: int) -> list[Wearer]:
    """Give the wearers that the viewer may see, in the order of their ids."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit)
    await record(connection, viewer, "wearers.list", f"after={after}", [row["wearer_id"] for row in rows])
    return [_wearer(row) for row in rows]


FIND = """
SELECT w.wearer_id, w.reference, f.code AS force, p.code AS probation, w.created_at, w.updated_at
FROM wearer w
LEFT JOIN organisation f ON f.organisation_id = w.force_id
LEFT JOIN organisation p ON p.organisation_id = w.probation_id
WHERE $1 IN (w.registered_by, w.force_id, w.probation_id) AND w.wearer_id = $2
"""


async def find_wearer(connection: Connection, viewer: Viewer, wearer_id: UUID) -> WearerRecord:
    """Give one wearer. Raises NotFound if there is none, or the viewer may not see them."""
    row = await connection.fetchrow(FIND, viewer.organisation_id, wearer_id)
    if row is None:
        raise NotFound("There is no wearer with this id, or this key may not see them.")
    await record(connection, viewer, "wearers.get", wearer_ids=[wearer_id])
    activations = await find_wearer_activations(connection, wearer_id)
    on_licence = await find_licence_periods(connection, wearer_id)
    return WearerRecord(**_wearer(row).model_dump(), activations=activations, on_licence=on_licence)


def _wearer(row: asyncpg.Record) -> Wearer:
    return Wearer(
        wearer_id=row["wearer_id"],
        reference=row["reference"],
        force=row["force"],
        probation=row["probation"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
