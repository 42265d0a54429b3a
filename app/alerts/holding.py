"""An alert held for a change by a person: locked as the matcher locks it, and just as that person last saw it.

The ETag counts both kinds of change: the matcher's revisions and the touches of people. Whoever changes an alert
sends the ETag that they have seen, and the alert's row stays locked from the comparison to the commit, so that
no decision is ever bound to evidence which nobody saw (docs/decisions/0008).
"""

from typing import Any, NamedTuple
from uuid import UUID

from app.access.viewer import Viewer
from app.alerts.etag import etag_of, read_etag
from app.alerts.review import UnderReview
from app.db import Connection
from app.errors import NotFound, PreconditionFailed, PreconditionRequired

# A statement of its own: what the next one joins to the alert is younger than the waiting for it.
HOLD_ALERT = "SELECT alert_id FROM alert WHERE alert_id = $1 FOR UPDATE"
FIND_HELD = """
SELECT a.alert_id, a.wearer_id, a.state, a.revision, a.touches, a.decision_id, d.decided_by,
    d.account_id AS decided_by_account_id, d.api_key_id AS decided_by_api_key_id,
    EXISTS (
        SELECT FROM organisation o
        WHERE o.asks_second_check AND o.organisation_id IN (i.force_id, w.force_id, w.probation_id)
    ) AS asks_second_check
FROM alert a
JOIN incident i USING (incident_id)
JOIN wearer w USING (wearer_id)
LEFT JOIN decision d ON d.decision_id = a.decision_id
WHERE a.alert_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
"""


class Held(NamedTuple):
    """An alert whose row is ours until the transaction ends."""

    alert_id: UUID
    wearer_id: UUID
    revision: int
    touches: int
    review: UnderReview

    @property
    def etag(self) -> str:
        """As the next reader gets it, if nothing is changed."""
        return etag_of(self.revision, self.touches)


async def hold_alert(connection: Connection, viewer: Viewer, alert_id: UUID) -> Held:
    """Lock an alert. Raises NotFound if there is none, or the viewer may not see it."""
    await connection.execute(HOLD_ALERT, alert_id)
    row = await connection.fetchrow(FIND_HELD, viewer.organisation_id, alert_id)
    if row is None:
        raise NotFound("There is no alert with this id, or this key may not see it.")
    review = UnderReview(**{name: row[name] for name in UnderReview._fields})
    return Held(row["alert_id"], row["wearer_id"], row["revision"], row["touches"], review)


async def refuse_unseen(connection: Connection, held: Held, if_match: str | None) -> None:
    """Compare what the caller has seen with how the alert stands.

    Raises PreconditionRequired without an ETag of one state, and PreconditionFailed, with what has changed, if the
    alert has another one by now.
    """
    seen = read_etag(if_match or "")
    if seen is None:
        raise PreconditionRequired(
            "Send the ETag of the alert that you looked at as If-Match: a change is bound to what was seen."
        )
    if seen != (held.revision, held.touches):
        raise PreconditionFailed(
            f"The alert is not any more as it was looked at. Read it again; its ETag is {held.etag}.",
            await _changes(connection, held, *seen),
        )


REVISIONS_SINCE = """
SELECT revision, kind, why FROM alert_revision WHERE alert_id = $1 AND revision > $2 ORDER BY revision
"""


async def _changes(connection: Connection, held: Held, revision: int, touches: int) -> list[dict[str, Any]]:
    changes = [
        {"pointer": "/revision", "code": kind, "message": f"Revision {number}: {why}"}
        for number, kind, why in await connection.fetch(REVISIONS_SINCE, held.alert_id, revision)
    ]
    if touches != held.touches:
        message = f"Somebody assigned, took up or decided it; its state is {held.review.state}."
        changes.append({"pointer": "/state", "code": "touched", "message": message})
    return changes
