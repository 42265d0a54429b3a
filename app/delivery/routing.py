"""Events of the stream on their way: a delivery for each endpoint, a notice for each person, an alarm if nobody looks.

Events are taken in the order of their positions by one router at a time, and what is made of them is committed together
with how far it has come. So each is routed once, and an endpoint's deliveries are in the order of the stream.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple, cast

import asyncpg

from app.db import Connection, Pool
from app.delivery import telling
from app.delivery.preferences import preference_of
from app.wake import send_hint

EVENTS_A_ROUND = 500

HAS_EVENTS = "SELECT EXISTS (SELECT FROM outbox WHERE position > (SELECT position FROM routing))"
# Whoever waits for the row reads how far the one before has come.
LOCK_POSITION = "SELECT position FROM routing FOR UPDATE"
EVENTS = """
SELECT x.outbox_id, x.position, x.created_at, x.state,
    CASE x.event WHEN 'revision' THEN r.kind ELSE x.event END AS kind, r.changed, v.offence,
    v.to_at AS incident_ended_at, u.organisation_id IS NOT NULL AS has_rule, u.escalate_after_s, u.urgent_offences
FROM outbox x
JOIN alert a USING (alert_id)
JOIN alert_revision r ON r.alert_id = x.alert_id AND r.revision = x.revision
JOIN incident i ON i.incident_id = a.incident_id
JOIN incident_version v ON v.incident_id = i.incident_id AND v.version = r.incident_version
LEFT JOIN routing_rule u ON u.organisation_id = i.force_id
WHERE x.position > $1
ORDER BY x.position LIMIT $2
"""
MOVE_ON = "UPDATE routing SET position = $1"


class _Event(NamedTuple):
    outbox_id: int
    event: telling.Event
    rule: telling.Rule


async def route(pool: Pool, now: datetime, limit: int = EVENTS_A_ROUND) -> int:
    """Route events that have a position and were not routed yet, oldest first; return how many."""
    async with pool.acquire() as connection:
        # Without a lock: mostly there is nothing to do.
        if not await connection.fetchval(HAS_EVENTS):
            return 0
        async with connection.transaction():
            position = await connection.fetchval(LOCK_POSITION)
            rows = await connection.fetch(EVENTS, position, limit)
            if not rows:
                return 0
            events = [_event_of(row) for row in rows]
            await _add_deliveries(connection, events, now)
            await _add_notices(connection, events, now)
            await _add_escalations(connection, events)
            await connection.execute(MOVE_ON, rows[-1]["position"])
        await send_hint(connection, "delivery")
    return len(rows)


def _event_of(row: asyncpg.Record) -> _Event:
    event = telling.Event(
        row["kind"], row["created_at"], row["state"], row["changed"], row["offence"], row["incident_ended_at"]
    )
    after_s = row["escalate_after_s"]
    rule = (
        telling.Rule(None if after_s is None else timedelta(seconds=after_s), frozenset(row["urgent_offences"]))
        if row["has_rule"]
        else telling.Rule()
    )
    return _Event(row["outbox_id"], event, rule)


# In the order of the stream: the ids of an endpoint's deliveries are drawn in it.
ADD_DELIVERIES = """
INSERT INTO delivery (event_id, endpoint_id, outbox_id, alert_id, created_at, due_at)
SELECT x.event_id, e.endpoint_id, x.outbox_id, x.alert_id, $3, $3
FROM unnest($1::bigint[], $2::text[]) AS routed (outbox_id, kind)
JOIN outbox x USING (outbox_id)
JOIN alert a ON a.alert_id = x.alert_id
JOIN incident i ON i.incident_id = a.incident_id
JOIN wearer w ON w.wearer_id = a.wearer_id
JOIN endpoint e ON e.organisation_id IN (i.force_id, w.force_id, w.probation_id)
WHERE e.deleted_at IS NULL AND (e.events = '{}' OR routed.kind = ANY(e.events))
ORDER BY x.position, e.endpoint_id
"""


async def _add_deliveries(connection: Connection, events: list[_Event], now: datetime) -> None:
    await connection.execute(ADD_DELIVERIES, [e.outbox_id for e in events], [e.event.kind for e in events], now)


# Whoever may not see an alert any more is not told of it, though a caseload may still name them.
PEOPLE = """
SELECT x.outbox_id, concerned.told_as, c.account_id, c.organisation_id = i.force_id AS is_of_force, p.by_email,
    p.quiet_from, p.quiet_to, p.digest_at, p.urgent_at_once
FROM unnest($1::bigint[]) AS routed (outbox_id)
JOIN outbox x USING (outbox_id)
JOIN alert a ON a.alert_id = x.alert_id
JOIN incident i ON i.incident_id = a.incident_id
JOIN wearer w ON w.wearer_id = a.wearer_id
CROSS JOIN LATERAL (
    SELECT k.account_id, 'offender_manager' AS told_as FROM caseload k
    WHERE k.wearer_id = a.wearer_id AND k.from_at <= x.created_at AND (k.to_at IS NULL OR k.to_at > x.created_at)
    UNION ALL
    SELECT h.account_id, 'hub' FROM account h
    WHERE h.role = 'hub_manager' AND h.organisation_id IN (i.force_id, w.force_id, w.probation_id)
    UNION ALL
    SELECT x.account_id, 'assignee' WHERE x.account_id IS NOT NULL
) AS concerned
JOIN account c ON c.account_id = concerned.account_id
LEFT JOIN preference p ON p.account_id = c.account_id
WHERE c.disabled_at IS NULL AND c.organisation_id IN (i.force_id, w.force_id, w.probation_id)
"""
ADD_NOTICES = """
INSERT INTO notice (outbox_id, account_id, told_as, is_urgent, due_at, noticed_at)
SELECT told.*, $6 FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bool[], $5::timestamptz[]) AS told
"""


async def _add_notices(connection: Connection, events: list[_Event], now: datetime) -> None:
    people: dict[int, list[telling.Person]] = defaultdict(list)
    for row in await connection.fetch(PEOPLE, [e.outbox_id for e in events]):
        told_as = cast("telling.ToldAs", row["told_as"])
        person = telling.Person(row["account_id"], told_as, row["is_of_force"], preference_of(row))
        people[row["outbox_id"]].append(person)
    told = [(e.outbox_id, each) for e in events for each in telling.tell(e.event, e.rule, people[e.outbox_id], now)]
    await connection.execute(
        ADD_NOTICES,
        [outbox_id for outbox_id, _ in told],
        [each.account_id for _, each in told],
        [each.told_as for _, each in told],
        [each.is_urgent for _, each in told],
        [each.due_at for _, each in told],
        now,
    )


ADD_ESCALATIONS = """
INSERT INTO escalation (outbox_id, due_at) SELECT * FROM unnest($1::bigint[], $2::timestamptz[])
"""


async def _add_escalations(connection: Connection, events: list[_Event]) -> None:
    due = {e.outbox_id: at for e in events if (at := telling.escalates_at(e.event, e.rule)) is not None}
    await connection.execute(ADD_ESCALATIONS, list(due), list(due.values()))
