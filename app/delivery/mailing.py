"""Mails on their way: what a person is to be told by now goes into one mail, which is sent until the relay takes it.

A mail is made first and sent then, so that one whose sender died is sent again with the same Message-ID and words.
There is one at a time to each person, so that they are told in order.
"""

import asyncio
import time
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from app import metrics
from app.db import Connection, Pool
from app.delivery.backoff import pause
from app.delivery.log import Attempted, add_attempt
from app.delivery.mail import BadAddress, Line, compose
from app.delivery.outside import Outside
from app.delivery.smtp import Handed, Relay, hand_in
from app.matching.lease import LEASE, renewed

MAILS_A_ROUND = 100
MAILS_AT_ONCE = 5
NOTICES_A_MAIL = 200

FIND_PEOPLE = """
SELECT n.account_id FROM notice n JOIN account c USING (account_id)
WHERE n.delivery_id IS NULL AND n.due_at <= $1 AND c.disabled_at IS NULL
    AND NOT EXISTS (
        SELECT FROM delivery d
        WHERE d.account_id = n.account_id AND d.delivered_at IS NULL AND d.cancelled_at IS NULL
    )
GROUP BY n.account_id ORDER BY min(n.due_at) LIMIT $2
"""
# Of two who make a mail to the same person at once, one makes it.
MAKE = """
INSERT INTO delivery (account_id, created_at, due_at) SELECT account_id, $2, $2 FROM unnest($1::bigint[]) AS account_id
ON CONFLICT (account_id) WHERE delivered_at IS NULL AND cancelled_at IS NULL AND account_id IS NOT NULL DO NOTHING
RETURNING delivery_id, account_id
"""
FILL = """
UPDATE notice SET delivery_id = made.delivery_id
FROM unnest($1::bigint[], $2::bigint[]) AS made (delivery_id, account_id)
CROSS JOIN LATERAL (
    SELECT n.notice_id FROM notice n
    WHERE n.account_id = made.account_id AND n.delivery_id IS NULL AND n.due_at <= $3
    ORDER BY n.notice_id LIMIT $4
) AS due
WHERE notice.notice_id = due.notice_id
"""


async def make_mails(pool: Pool, now: datetime) -> int:
    """Make a mail for each person who has to be told something by now and has none on its way; return how many."""
    async with pool.acquire() as connection, connection.transaction():
        people = [row["account_id"] for row in await connection.fetch(FIND_PEOPLE, now, MAILS_A_ROUND)]
        if not people:
            return 0
        made = await connection.fetch(MAKE, people, now)
        ids, accounts = [row["delivery_id"] for row in made], [row["account_id"] for row in made]
        await connection.execute(FILL, ids, accounts, now, NOTICES_A_MAIL)
    return len(made)


CLAIM = """
UPDATE delivery SET claim_token = $1, claimed_until = now() + $2
FROM account c
WHERE c.account_id = delivery.account_id AND delivery.delivery_id IN (
    SELECT d.delivery_id FROM delivery d JOIN account p USING (account_id)
    WHERE d.delivered_at IS NULL AND d.cancelled_at IS NULL AND d.due_at <= $3 AND p.disabled_at IS NULL
        AND (d.claimed_until IS NULL OR d.claimed_until < now())
    ORDER BY d.due_at, d.delivery_id LIMIT $4
    FOR UPDATE OF d SKIP LOCKED
)
RETURNING delivery.delivery_id, delivery.event_id, delivery.created_at, delivery.attempts, c.email
"""
LINES = """
SELECT n.delivery_id, x.alert_id, CASE x.event WHEN 'revision' THEN r.kind ELSE x.event END AS kind, x.created_at AS at,
    n.is_urgent
FROM notice n
JOIN outbox x USING (outbox_id)
JOIN alert_revision r ON r.alert_id = x.alert_id AND r.revision = x.revision
WHERE n.delivery_id = ANY($1::bigint[])
ORDER BY n.notice_id
"""


class _Mail(NamedTuple):
    delivery_id: int
    event_id: UUID
    created_at: datetime
    attempts: int
    email: str
    lines: list[Line]


RENEW = "UPDATE delivery SET claimed_until = now() + $2 WHERE claim_token = $1"


async def send_mails(pool: Pool, outside: Outside) -> int:
    """Make the mails that are due, and send some; return how many were made or sent. Without a relay none is."""
    if outside.relay is None:
        return 0
    made = await make_mails(pool, outside.clock())
    token = uuid4()
    async with pool.acquire() as connection:
        mails = await _claim(connection, token, outside.clock())
    async with renewed(pool, RENEW, token), asyncio.TaskGroup() as sending:
        for mail in mails:
            sending.create_task(_send(pool, outside, outside.relay, token, mail))
    return made + len(mails)


async def _claim(connection: Connection, token: UUID, now: datetime) -> list[_Mail]:
    rows = await connection.fetch(CLAIM, token, LEASE, now, MAILS_AT_ONCE)
    lines: dict[int, list[Line]] = {row["delivery_id"]: [] for row in rows}
    for row in await connection.fetch(LINES, list(lines)):
        lines[row["delivery_id"]].append(Line(row["alert_id"], row["kind"], row["at"], row["is_urgent"]))
    return [
        _Mail(
            row["delivery_id"],
            row["event_id"],
            row["created_at"],
            row["attempts"],
            row["email"],
            lines[row["delivery_id"]],
        )
        for row in rows
    ]


async def _send(pool: Pool, outside: Outside, relay: Relay, token: UUID, mail: _Mail) -> None:
    started_at, started = outside.clock(), time.perf_counter()
    handed = await _hand_in(relay, mail, outside.public_url)
    took_s = time.perf_counter() - started
    attempted = Attempted(started_at, round(took_s * 1000), None, handed.status, handed.error)
    async with pool.acquire() as connection, connection.transaction():
        await _record(connection, outside, token, mail, attempted)
    metrics.DELIVERIES.labels("email", handed.error or "acknowledged").inc()
    metrics.DELIVERY_SECONDS.labels("email").observe(took_s)


async def _hand_in(relay: Relay, mail: _Mail, public_url: str) -> Handed:
    try:
        message = compose(mail.event_id, mail.created_at, relay.sender, mail.email, mail.lines, public_url)
    except BadAddress:
        return Handed("bad_address")
    return await hand_in(relay, mail.email, message)


# Who has lost the claim records nothing: somebody else sends the same mail.
SET_DELIVERY = """
UPDATE delivery SET attempts = attempts + 1, delivered_at = $3, due_at = $4, claim_token = NULL, claimed_until = NULL
WHERE delivery_id = $1 AND claim_token = $2
RETURNING attempts
"""


async def _record(connection: Connection, outside: Outside, token: UUID, mail: _Mail, attempted: Attempted) -> None:
    now = outside.clock()
    is_done = attempted.error is None
    due_at = now if is_done else now + pause(mail.attempts + 1, outside.draw())
    attempt = await connection.fetchval(SET_DELIVERY, mail.delivery_id, token, now if is_done else None, due_at)
    if attempt is not None:
        await add_attempt(connection, mail.delivery_id, attempt, attempted)
