"""Who was told of an alert, as it is read."""

from uuid import UUID

from app.access.viewer import Viewer
from app.alerts.reading import refuse_invisible
from app.audit.store import record
from app.db import Connection
from app.delivery.schemas import Notice

LIST = """
SELECT n.account_id, n.told_as, CASE x.event WHEN 'revision' THEN r.kind ELSE x.event END AS event, n.is_urgent,
    n.noticed_at, n.due_at, d.delivered_at AS told_at
FROM notice n
JOIN outbox x USING (outbox_id)
JOIN alert_revision r ON r.alert_id = x.alert_id AND r.revision = x.revision
JOIN alert a ON a.alert_id = x.alert_id
JOIN incident i ON i.incident_id = a.incident_id
JOIN wearer w ON w.wearer_id = a.wearer_id
LEFT JOIN delivery d ON d.delivery_id = n.delivery_id
WHERE x.alert_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
ORDER BY n.notice_id
"""


async def list_notices(connection: Connection, viewer: Viewer, alert_id: UUID) -> list[Notice]:
    """Read who was told of an alert, the first first. Raises NotFound if the viewer may not see the alert."""
    wearer_id = await refuse_invisible(connection, viewer, alert_id)
    rows = await connection.fetch(LIST, viewer.organisation_id, alert_id)
    await record(connection, viewer, "notices.list", str(alert_id), [wearer_id])
    return [Notice(**row) for row in rows]
