"""Decisions on alerts: made on the evidence that the person saw, and kept with it for good."""

import hashlib
from typing import NamedTuple
from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.alerts.decision_schemas import Decision, PostedDecision
from app.alerts.etag import etag_of
from app.alerts.holding import Held, hold_alert, refuse_unseen
from app.alerts.reading import refuse_invisible
from app.alerts.review import Conclusion, state_after
from app.alerts.touches import Touch, tell
from app.audit.store import record
from app.db import Connection
from app.errors import BadRecord

INSERT = """
WITH made AS (
    INSERT INTO decision (alert_id, revision, touches, decision, reason, text, state, confirms, organisation_id,
        api_key_id, account_id, decided_by, idempotency_key, content_sha256)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    RETURNING *
)
SELECT made.*, o.code AS organisation FROM made JOIN organisation o USING (organisation_id)
"""
SET_STATE = """
UPDATE alert SET state = $2, touches = $3, decision_id = $4, changed_at = now() WHERE alert_id = $1
"""


class Made(NamedTuple):
    """A decision, and the alert's ETag right after it."""

    decision: Decision
    etag: str


async def decide(
    connection: Connection,
    viewer: Viewer,
    alert_id: UUID,
    posted: PostedDecision,
    if_match: str | None,
    idempotency_key: str | None,
) -> Made:
    """Record a decision on the alert as the caller last saw it; the same one under the same key is recorded once.

    Raises NotFound, PreconditionRequired, PreconditionFailed, Conflict if the alert's state does not allow it, and
    BadRecord if its reason is none for it or the idempotency key belongs to another decision.
    """
    held = await hold_alert(connection, viewer, alert_id)
    content = hashlib.sha256(posted.model_dump_json().encode()).digest()
    earlier = await _find_earlier(connection, viewer, held, idempotency_key, content)
    if earlier is not None:
        await record(connection, viewer, "decisions.repeat", str(alert_id), [held.wearer_id], posted.decided_by)
        return earlier
    await refuse_unseen(connection, held, if_match)
    await _check_reason(connection, posted)
    conclusion = Conclusion(posted.decision, posted.confirms, posted.decided_by, viewer.account_id, viewer.api_key_id)
    state, touches = state_after(held.review, conclusion), held.touches + 1
    row = await connection.fetchrow(
        INSERT,
        alert_id,
        held.revision,
        touches,
        posted.decision,
        posted.reason,
        posted.text,
        state,
        posted.confirms,
        viewer.organisation_id,
        viewer.api_key_id,
        viewer.account_id,
        posted.decided_by,
        idempotency_key,
        content,
    )
    assert row is not None
    await connection.execute(SET_STATE, alert_id, state, touches, row["decision_id"])
    await tell(connection, [Touch(alert_id, "decided", _said(posted, state))])
    await record(connection, viewer, "decisions.make", str(alert_id), [held.wearer_id], posted.decided_by)
    return _made(row)


def _said(posted: PostedDecision, state: str) -> str:
    check = "; it awaits a second check" if state == "awaiting_second_check" else ""
    return f"Decided: {posted.decision}, for the reason {posted.reason}{check}."


FIND_EARLIER = """
SELECT d.*, o.code AS organisation FROM decision d JOIN organisation o USING (organisation_id)
WHERE d.alert_id = $1 AND d.organisation_id = $2 AND d.idempotency_key = $3
"""


async def _find_earlier(
    connection: Connection, viewer: Viewer, held: Held, idempotency_key: str | None, content: bytes
) -> Made | None:
    """Find what was answered under this key; looked for under the alert's lock, so two at once are one."""
    if idempotency_key is None:
        return None
    row = await connection.fetchrow(FIND_EARLIER, held.alert_id, viewer.organisation_id, idempotency_key)
    if row is not None and row["content_sha256"] != content:
        raise BadRecord("This Idempotency-Key was used for another decision on this alert.")
    return None if row is None else _made(row)


REASONS = """
SELECT code FROM decision_reason WHERE is_active AND (decision IS NULL OR decision = $1) ORDER BY code
"""


async def _check_reason(connection: Connection, posted: PostedDecision) -> None:
    known = [code for (code,) in await connection.fetch(REASONS, posted.decision)]
    if posted.reason not in known:
        error = {
            "line": 1,
            "pointer": "/reason",
            "code": "unknown_value",
            "message": f"this is no reason in use for {posted.decision}",
            "required_action": f"Send one of {', '.join(known)}.",
        }
        raise BadRecord("The record is not acceptable; nothing was stored.", [error])


LIST_DECISIONS = """
SELECT d.*, o.code AS organisation
FROM decision d
JOIN organisation o USING (organisation_id)
JOIN alert a USING (alert_id)
JOIN incident i USING (incident_id)
JOIN wearer w USING (wearer_id)
WHERE d.alert_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
ORDER BY d.touches
"""


async def list_decisions(connection: Connection, viewer: Viewer, alert_id: UUID) -> list[Decision]:
    """Read all decisions on an alert, the oldest first. Raises NotFound if the viewer may not see the alert."""
    wearer_id = await refuse_invisible(connection, viewer, alert_id)
    rows = await connection.fetch(LIST_DECISIONS, viewer.organisation_id, alert_id)
    await record(connection, viewer, "decisions.list", str(alert_id), [wearer_id])
    return [_decision_of(row) for row in rows]


def _made(row: asyncpg.Record) -> Made:
    return Made(_decision_of(row), etag_of(row["revision"], row["touches"]))


def _decision_of(row: asyncpg.Record) -> Decision:
    shown = {name: row[name] for name in Decision.model_fields if name != "is_second_check"}
    return Decision(is_second_check=row["confirms"] is not None, **shown)
