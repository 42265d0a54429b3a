"""Alerts as they are read: lists, one alert and its revisions, all scoped to the viewer and audited."""

from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.alerts.schemas import AlertRevision, ReviewedAlert, reviewed_alert_of
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound

# An alert is seen by the hub of the force whose incident it is, and by the force and probation region of the wearer.
LIST = """
SELECT a.alert_seq, a.alert_id, a.match_id, a.state, a.revision, r.kind, r.why, r.changed, r.incident_version,
    r.said, r.evidence, a.raised_at, r.revised_at, i.incident_id, o.code AS force, i.reference AS incident_reference,
    v.offence, w.wearer_id, w.reference AS wearer_reference, a.touches, d.decision_id, d.decision,
    d.revision AS decided_on_revision, coalesce(c.name, s.name) AS assignee
FROM alert a
JOIN alert_revision r USING (alert_id, revision)
JOIN incident i USING (incident_id)
JOIN organisation o ON o.organisation_id = i.force_id
JOIN incident_version v ON v.incident_id = i.incident_id AND v.version = r.incident_version
JOIN wearer w USING (wearer_id)
LEFT JOIN decision d ON d.decision_id = a.decision_id
LEFT JOIN assignment s ON s.assignment_id = a.assignment_id
LEFT JOIN account c ON c.account_id = s.account_id
WHERE a.alert_seq > $2
  AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
  AND ($4::uuid IS NULL OR a.alert_id = $4)
  AND ($5::text IS NULL OR a.state = $5)
ORDER BY a.alert_seq LIMIT $3
"""


class Listed(NamedTuple):
    """Alerts of a page, and the cursor after the last of them."""

    alerts: list[ReviewedAlert]
    last: int


async def list_alerts(connection: Connection, viewer: Viewer, after: int, limit: int, state: str | None) -> Listed:
    """Read alerts in the order in which they were raised."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit, None, state)
    await record(connection, viewer, "alerts.list", f"state={state} after={after}", _wearers(rows))
    return Listed([reviewed_alert_of(row) for row in rows], rows[-1]["alert_seq"] if rows else after)


async def find_alert(connection: Connection, viewer: Viewer, alert_id: UUID) -> ReviewedAlert:
    """Read one alert. Raises NotFound if there is none, or the viewer may not see it."""
    rows = await connection.fetch(LIST, viewer.organisation_id, 0, 1, alert_id, None)
    if not rows:
        raise NotFound("There is no alert with this id, or this key may not see it.")
    await record(connection, viewer, "alerts.get", str(alert_id), _wearers(rows))
    return reviewed_alert_of(rows[0])


WEARER_OF = """
SELECT a.wearer_id FROM alert a JOIN incident i USING (incident_id) JOIN wearer w USING (wearer_id)
WHERE a.alert_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
"""


async def refuse_invisible(connection: Connection, viewer: Viewer, alert_id: UUID) -> UUID:
    """Give the wearer of an alert. Raises NotFound if there is none, or the viewer may not see it."""
    wearer_id: UUID | None = await connection.fetchval(WEARER_OF, viewer.organisation_id, alert_id)
    if wearer_id is None:
        raise NotFound("There is no alert with this id, or this key may not see it.")
    return wearer_id


LIST_REVISIONS = """
SELECT r.revision, r.kind, r.why, r.changed, r.incident_version, r.said, r.evidence, r.revised_at
FROM alert_revision r
JOIN alert a USING (alert_id)
JOIN incident i USING (incident_id)
JOIN wearer w USING (wearer_id)
WHERE r.alert_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1) AND r.revision > $3::bigint
ORDER BY r.revision LIMIT $4
"""


async def list_revisions(
    connection: Connection, viewer: Viewer, alert_id: UUID, after: int, limit: int
) -> list[AlertRevision]:
    """Read the revisions of an alert after one, oldest first. Raises NotFound if the viewer may not see the alert."""
    wearer_id = await refuse_invisible(connection, viewer, alert_id)
    rows = await connection.fetch(LIST_REVISIONS, viewer.organisation_id, alert_id, after, limit)
    await record(connection, viewer, "revisions.list", f"{alert_id} after={after}", [wearer_id])
    return [AlertRevision(**row) for row in rows]


def _wearers(rows: list[asyncpg.Record]) -> list[UUID]:
    return [row["wearer_id"] for row in rows]
