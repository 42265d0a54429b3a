"""Rows that were rejected: read them, and send them through the checks again."""

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.pings.schemas import RejectedPing

LIST = """
SELECT reject_id, batch_id, rejected_at, line, pointer, code, message, raw FROM ping_reject
WHERE organisation_id = $1 AND retried_at IS NULL AND reject_id > $2
ORDER BY reject_id LIMIT $3
"""


async def list_rejects(connection: Connection, viewer: Viewer, after: int, limit: int) -> list[RejectedPing]:
    """Give rejected rows of the viewer's organisation after this id, oldest first."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit)
    await record(connection, viewer, "pings.list_rejected", f"after {after}, {len(rows)} rows")
    return [RejectedPing(**row) for row in rows]
