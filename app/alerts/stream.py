"""The alert stream as it is read: revisions and what people did with alerts, by position."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from app import metrics
from app.access.viewer import Viewer
from app.alerts.schemas import Alert, alert_of
from app.audit.store import record
from app.db import Connection
from app.errors import Conflict

# The state is that which the event left: what the alert has come to since is in later events.
STREAM = """
SELECT x.position, a.alert_id, a.match_id, r.revision, r.incident_version, r.said, r.evidence,
    CASE x.event WHEN 'revision' THEN r.kind ELSE x.event END AS kind, coalesce(x.why, r.why) AS why,
    CASE x.event WHEN 'revision' THEN r.changed ELSE '{}' END AS changed,
    coalesce(x.state, CASE r.kind WHEN 'raised' THEN 'new' WHEN 'withdrawn' THEN 'withdrawn'
        WHEN 'reopened' THEN 'in_review' ELSE a.state END) AS state,
    a.raised_at, r.revised_at, i.incident_id, o.code AS force, i.reference AS incident_reference, v.offence,
    w.wearer_id, w.reference AS wearer_reference
FROM outbox x
JOIN alert a USING (alert_id)
JOIN alert_revision r ON r.alert_id = x.alert_id AND r.revision = x.revision
JOIN incident i ON i.incident_id = a.incident_id
JOIN organisation o ON o.organisation_id = i.force_id
JOIN incident_version v ON v.incident_id = i.incident_id AND v.version = r.incident_version
JOIN wearer w ON w.wearer_id = a.wearer_id
WHERE x.position > $2 AND x.position <= $4
  AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
ORDER BY x.position LIMIT $3
"""
# Of the sequence, which gives none twice, also if what it was drawn for was never committed.
HIGHEST_POSITION = "SELECT last_value FROM stream_position"
LAST_POSITION = "SELECT coalesce(max(position), 0) FROM outbox"


class Streams:
    """How many streams are open in this process."""

    def __init__(self) -> None:
        self.n = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count one more for the block."""
        self.n += 1
        try:
            with metrics.STREAM_CLIENTS.track_inprogress():
                yield
        finally:
            self.n -= 1


class Streamed(NamedTuple):
    """Events with their positions, and the position up to which all that the viewer may see has been read."""

    events: list[tuple[int, Alert]]
    read_to: int


async def read_stream(connection: Connection, viewer: Viewer, after: int, limit: int) -> Streamed:
    """Read what was dispatched after a position, oldest first."""
    last = await connection.fetchval(LAST_POSITION)
    if last <= after:
        return Streamed([], after)
    rows = await connection.fetch(STREAM, viewer.organisation_id, after, limit, last)
    if rows:
        await record(connection, viewer, "alerts.stream", f"after={after}", [row["wearer_id"] for row in rows])
    read_to = rows[-1]["position"] if len(rows) == limit else last
    return Streamed([(row["position"], alert_of(row)) for row in rows], read_to)


async def refuse_unknown_position(connection: Connection, position: int) -> None:
    """Raise Conflict for a position that the stream has not come to: whoever waited there would miss what comes."""
    if position > await connection.fetchval(HIGHEST_POSITION):
        raise Conflict(
            f"The stream has not come to position {position}; the database is another one, or was restored from an "
            "older copy. Read from after=0: what was told before has the same alert and revision."
        )


async def find_last_position(connection: Connection) -> int:
    """Give the newest position on the stream; 0 if there is none."""
    return int(await connection.fetchval(LAST_POSITION))
