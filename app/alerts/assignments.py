"""Who looks after an alert, and its first look: what people do with it before they decide."""

from uuid import UUID

from app.access.viewer import Viewer
from app.alerts.decision_schemas import Assignment, PatchedAlert
from app.alerts.holding import Held, hold_alert, refuse_unseen
from app.alerts.reading import refuse_invisible
from app.alerts.touches import Touch, tell
from app.audit.store import record
from app.db import Connection
from app.errors import BadRecord, Conflict

SET_STATE = """
UPDATE alert SET state = $2, touches = touches + 1, assignment_id = coalesce($3, assignment_id), changed_at = now()
WHERE alert_id = $1
"""


async def patch_alert(
    connection: Connection, viewer: Viewer, alert_id: UUID, patched: PatchedAlert, if_match: str | None
) -> None:
    """Take an alert up, or hand it to somebody: a new one is in review from then on.

    Raises NotFound, PreconditionRequired, PreconditionFailed, Conflict if the alert's state does not allow it, and
    BadRecord if there is no such account in the caller's organisation.
    """
    held = await hold_alert(connection, viewer, alert_id)
    await refuse_unseen(connection, held, if_match)
    state = _state_after(held.review.state, patched)
    assignment_id = await _assign(connection, viewer, held, patched) if patched.is_assigning else None
    await connection.execute(SET_STATE, alert_id, state, assignment_id)
    await tell(connection, [_touch(alert_id, patched)])
    action = "alerts.assign" if patched.is_assigning else "alerts.take_up"
    await record(connection, viewer, action, str(alert_id), [held.wearer_id], patched.by)


def _touch(alert_id: UUID, patched: PatchedAlert) -> Touch:
    if not patched.is_assigning:
        return Touch(alert_id, "taken_up", "Somebody has taken the alert up.")
    is_somebody = patched.assignee is not None or patched.assignee_account_id is not None
    why = "Somebody else looks after the alert now." if is_somebody else "Nobody looks after the alert any more."
    return Touch(alert_id, "assigned", why, patched.assignee_account_id)


def _state_after(state: str, patched: PatchedAlert) -> str:
    if state == "withdrawn":
        raise Conflict("This alert is withdrawn: nobody has to look after it unless the matcher reopens it.")
    if patched.state is not None and state not in {"new", "in_review"}:
        raise Conflict(f"This alert is {state}: only a decision brings it back into review.")
    return "in_review" if state == "new" else state


INSERT = """
INSERT INTO assignment (alert_id, account_id, name, organisation_id, api_key_id, by_account_id, assigned_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING assignment_id
"""


async def _assign(connection: Connection, viewer: Viewer, held: Held, patched: PatchedAlert) -> int:
    if patched.assignee_account_id is not None:
        await _check_account(connection, viewer, patched.assignee_account_id)
    return int(
        await connection.fetchval(
            INSERT,
            held.alert_id,
            patched.assignee_account_id,
            patched.assignee,
            viewer.organisation_id,
            viewer.api_key_id,
            viewer.account_id,
            patched.by,
        )
    )


FIND_ACCOUNT = """
SELECT account_id FROM account WHERE account_id = $1 AND organisation_id = $2 AND disabled_at IS NULL
"""


async def _check_account(connection: Connection, viewer: Viewer, account_id: int) -> None:
    if await connection.fetchval(FIND_ACCOUNT, account_id, viewer.organisation_id) is None:
        error = {
            "line": 1,
            "pointer": "/assignee_account_id",
            "code": "unknown_value",
            "message": "this organisation has no such account in use",
            "required_action": "Send an account of your own organisation, or a name.",
        }
        raise BadRecord("The record is not acceptable; nothing was stored.", [error])


LIST_ASSIGNMENTS = """
SELECT coalesce(c.name, s.name) AS assignee, s.account_id AS assignee_account_id, o.code AS organisation,
    s.assigned_by, s.assigned_at
FROM assignment s
JOIN organisation o USING (organisation_id)
LEFT JOIN account c ON c.account_id = s.account_id
JOIN alert a USING (alert_id)
JOIN incident i USING (incident_id)
JOIN wearer w USING (wearer_id)
WHERE s.alert_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
ORDER BY s.assignment_id
"""


async def list_assignments(connection: Connection, viewer: Viewer, alert_id: UUID) -> list[Assignment]:
    """Read all assignments of an alert, the oldest first. Raises NotFound if the viewer may not see the alert."""
    wearer_id = await refuse_invisible(connection, viewer, alert_id)
    rows = await connection.fetch(LIST_ASSIGNMENTS, viewer.organisation_id, alert_id)
    await record(connection, viewer, "assignments.list", str(alert_id), [wearer_id])
    return [Assignment(**row) for row in rows]
