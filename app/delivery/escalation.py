"""Alerts at which nobody has looked in time: they go onto the stream once more, as escalated."""

from datetime import datetime

import asyncpg

from app.alerts.touches import Touch, tell
from app.db import Connection, Pool
from app.wake import send_hint

ALERTS_A_ROUND = 100

# The alerts' rows are locked as everybody locks them who changes an alert, so that a look in this moment comes before
# or after, and its event on the stream too.
CLAIM = """
SELECT e.outbox_id FROM escalation e WHERE e.became IS NULL AND e.due_at <= $1
ORDER BY e.due_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
LOCK_ALERTS = """
SELECT alert_id FROM alert WHERE alert_id IN (SELECT alert_id FROM outbox WHERE outbox_id = ANY($1::bigint[]))
ORDER BY alert_id FOR UPDATE
"""
# A look is what a person does: taking up, assigning, deciding, and reading it while signed in. What a key reads, a
# machine may have read.
FIND_OUT = """
SELECT x.outbox_id, x.alert_id, extract(epoch FROM e.due_at - x.created_at)::float8 AS waited_s,
    CASE WHEN EXISTS (
        SELECT FROM outbox later JOIN alert_revision r USING (alert_id, revision)
        WHERE later.alert_id = x.alert_id AND later.outbox_id > x.outbox_id AND later.event = 'revision'
            AND r.kind = 'withdrawn'
    ) THEN 'withdrawn'
    WHEN EXISTS (
        SELECT FROM outbox later
        WHERE later.alert_id = x.alert_id AND later.outbox_id > x.outbox_id
            AND later.event IN ('taken_up', 'assigned', 'decided')
    ) OR EXISTS (
        SELECT FROM audit_event look
        WHERE look.action = 'alerts.get' AND look.subject = x.alert_id::text AND look.account_id IS NOT NULL
            AND look.at >= x.created_at AND look.wearer_ids @> ARRAY[a.wearer_id]
    ) THEN 'looked_at'
    ELSE 'escalated' END AS became
FROM escalation e
JOIN outbox x USING (outbox_id)
JOIN alert a ON a.alert_id = x.alert_id
WHERE e.outbox_id = ANY($1::bigint[])
ORDER BY e.outbox_id
"""
SETTLE = """
UPDATE escalation SET became = settled.became, settled_at = $3
FROM unnest($1::bigint[], $2::text[]) AS settled (outbox_id, became)
WHERE escalation.outbox_id = settled.outbox_id
"""


async def escalate(pool: Pool, now: datetime) -> int:
    """Look after alerts whose time is over; return how many there were."""
    async with pool.acquire() as connection:
        async with connection.transaction():
            rows = await _find_out(connection, now)
            await tell(connection, [_touch(row) for row in rows if row["became"] == "escalated"])
            await connection.execute(SETTLE, [row["outbox_id"] for row in rows], [row["became"] for row in rows], now)
        if rows:
            await send_hint(connection, "outbox")
    return len(rows)


async def _find_out(connection: Connection, now: datetime) -> list[asyncpg.Record]:
    due = [row["outbox_id"] for row in await connection.fetch(CLAIM, now, ALERTS_A_ROUND)]
    if not due:
        return []
    await connection.execute(LOCK_ALERTS, due)
    return await connection.fetch(FIND_OUT, due)


def _touch(row: asyncpg.Record) -> Touch:
    return Touch(row["alert_id"], "escalated", f"Nobody has looked at it within {row['waited_s'] / 60:.0f} minutes.")
