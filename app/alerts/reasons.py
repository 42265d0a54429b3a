"""Why people decide: the list of reasons, and who asks for a second check."""

from app.access.viewer import Viewer
from app.alerts.decision_schemas import PutReason, Reason
from app.audit.store import record
from app.db import Connection
from app.errors import Conflict, NotAllowed

LIST_REASONS = "SELECT code, decision, label, is_active FROM decision_reason ORDER BY decision NULLS LAST, code"


async def list_reasons(connection: Connection) -> list[Reason]:
    """Read all reasons, those that are not in use any more as well."""
    return [Reason(**row) for row in await connection.fetch(LIST_REASONS)]


# A reason that was there before is touched only if its words are the same.
PUT_REASON = """
INSERT INTO decision_reason (code, decision, label, is_active) VALUES ($1, $2, $3, $4)
ON CONFLICT (code) DO UPDATE SET is_active = excluded.is_active
WHERE decision_reason.label = excluded.label AND decision_reason.decision IS NOT DISTINCT FROM excluded.decision
RETURNING code, decision, label, is_active
"""


async def put_reason(connection: Connection, viewer: Viewer, code: str, put: PutReason) -> Reason:
    """Add a reason, or take one in or out of use.

    Raises NotAllowed unless the viewer's organisation is an operator: the list is everybody's. Raises Conflict if the
    reason is there with other words.
    """
    if viewer.kind != "operator":
        raise NotAllowed("The list of reasons is one for all organisations; only an operator's key may change it.")
    row = await connection.fetchrow(PUT_REASON, code, put.decision, put.label, put.is_active)
    if row is None:
        raise Conflict(
            "Decisions were made with this reason as it is worded. Set it inactive, and put the new words "
            "under a code of their own."
        )
    await record(connection, viewer, "decision_reasons.put", f"{code} is_active={put.is_active}")
    return Reason(**row)


SET_SECOND_CHECK = "UPDATE organisation SET asks_second_check = $2 WHERE organisation_id = $1"


async def set_second_check(connection: Connection, viewer: Viewer, *, is_asked: bool) -> None:
    """Let the viewer's organisation ask, from now on, for a second check of what is passed to the police, or not."""
    await connection.execute(SET_SECOND_CHECK, viewer.organisation_id, is_asked)
    await record(connection, viewer, "second_check.put", f"is_asked={is_asked}")
