"""Webhooks on their way: one endpoint at a time to each sender, one message at a time to each endpoint, in order.

An endpoint is claimed by a lease, so any number of processes may send; what one that died had sent, but not recorded,
is sent again with the same id. Of an alert's deliveries only the oldest that waits is sent.
"""

import time
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog

from app import metrics
from app.db import Connection, Pool
from app.delivery.backoff import Failed, Next, after_failure
from app.delivery.cloud_event import CONTENT_TYPE, AlertEvent, encode_alert_event
from app.delivery.endpoints import Target, find_target
from app.delivery.log import Attempted, add_attempt
from app.delivery.outside import Outside
from app.delivery.signing import secret_of, signed_headers
from app.delivery.webhook import Answer, post
from app.matching.lease import LEASE, LeaseLost, renewed

# Then others have their turn, however much waits for this one.
MESSAGES_A_TURN = 50

log = structlog.get_logger("trailmatch.webhooks")


class Claimed(NamedTuple):
    """An endpoint that is ours for the time of the lease."""

    endpoint_id: int
    token: UUID
    failures: int


# The one that has waited longest for its turn.
CLAIM = """
UPDATE endpoint SET claim_token = $1, claimed_until = now() + $2
WHERE endpoint_id = (
    SELECT e.endpoint_id FROM endpoint e
    WHERE e.disabled_at IS NULL AND e.deleted_at IS NULL AND e.resume_at <= $3
        AND (e.claimed_until IS NULL OR e.claimed_until < now())
        AND EXISTS (
            SELECT FROM delivery d
            WHERE d.endpoint_id = e.endpoint_id AND d.delivered_at IS NULL AND d.cancelled_at IS NULL
                AND d.due_at <= $3
                AND NOT EXISTS (
                    SELECT FROM delivery earlier
                    WHERE earlier.endpoint_id = d.endpoint_id AND earlier.alert_id = d.alert_id
                        AND earlier.delivered_at IS NULL AND earlier.cancelled_at IS NULL
                        AND earlier.delivery_id < d.delivery_id
                )
        )
    ORDER BY e.resume_at, e.endpoint_id LIMIT 1
    FOR UPDATE OF e SKIP LOCKED
)
RETURNING endpoint_id, failures
"""


async def claim_endpoint(pool: Pool, now: datetime) -> Claimed | None:
    """Claim an endpoint that has something due; None if there is none."""
    token = uuid4()
    row = await pool.fetchrow(CLAIM, token, LEASE, now)
    return None if row is None else Claimed(row["endpoint_id"], token, row["failures"])


RENEW = "UPDATE endpoint SET claimed_until = now() + $2 WHERE claim_token = $1"
RELEASE = """
UPDATE endpoint SET claim_token = NULL, claimed_until = NULL, resume_at = greatest(resume_at, $3)
WHERE endpoint_id = $1 AND claim_token = $2
"""


async def send_some(pool: Pool, outside: Outside, claimed: Claimed) -> int:
    """Send what is due to an endpoint, in order, until something fails or others want their turn; return how many.

    Raises LeaseLost if somebody else has taken the endpoint meanwhile.
    """
    sent = 0
    async with renewed(pool, RENEW, claimed.token):
        while sent < MESSAGES_A_TURN and await _send_next(pool, outside, claimed):
            sent += 1
            claimed = claimed._replace(failures=0)
    await pool.execute(RELEASE, claimed.endpoint_id, claimed.token, outside.clock())
    return sent


# Only as long as the endpoint is ours: whoever hung, and was given up for dead, must not send beside its successor.
NEXT = """
SELECT d.delivery_id, d.event_id, d.attempts, CASE x.event WHEN 'revision' THEN r.kind ELSE x.event END AS kind,
    x.created_at AS at, x.alert_id, x.revision, x.position
FROM delivery d
JOIN endpoint e ON e.endpoint_id = d.endpoint_id AND e.disabled_at IS NULL AND e.claim_token = $3
JOIN outbox x ON x.outbox_id = d.outbox_id
JOIN alert_revision r ON r.alert_id = x.alert_id AND r.revision = x.revision
WHERE d.endpoint_id = $1 AND d.delivered_at IS NULL AND d.cancelled_at IS NULL AND d.due_at <= $2
    AND NOT EXISTS (
        SELECT FROM delivery earlier
        WHERE earlier.endpoint_id = d.endpoint_id AND earlier.alert_id = d.alert_id
            AND earlier.delivered_at IS NULL AND earlier.cancelled_at IS NULL
            AND earlier.delivery_id < d.delivery_id
    )
ORDER BY d.delivery_id LIMIT 1
"""


class _Message(NamedTuple):
    delivery_id: int
    attempts: int
    event: AlertEvent


async def _send_next(pool: Pool, outside: Outside, claimed: Claimed) -> bool:
    """Send one message; False if there was none, or it was not acknowledged."""
    async with pool.acquire() as connection:
        message = await _find_next(connection, claimed, outside.clock())
        target = await find_target(connection, claimed.endpoint_id, outside.clock())
    if message is None or target is None:
        return False
    started_at, started = outside.clock(), time.perf_counter()
    answer = await _send(outside, target, message.event)
    took_s = time.perf_counter() - started
    attempted = Attempted(started_at, round(took_s * 1000), answer.address, answer.status, answer.error)
    async with pool.acquire() as connection, connection.transaction():
        await _record(connection, outside, claimed, message, answer, attempted)
    metrics.DELIVERIES.labels("webhook", answer.error or "acknowledged").inc()
    metrics.DELIVERY_SECONDS.labels("webhook").observe(took_s)
    if answer.error is None:
        lag_s = (outside.clock() - message.event.at).total_seconds()
        metrics.DELIVERY_LAG.labels("webhook").observe(max(lag_s, 0.0))
    return answer.error is None


async def _find_next(connection: Connection, claimed: Claimed, now: datetime) -> _Message | None:
    row = await connection.fetchrow(NEXT, claimed.endpoint_id, now, claimed.token)
    if row is None:
        return None
    event = AlertEvent(**{name: row[name] for name in AlertEvent._fields})
    return _Message(row["delivery_id"], row["attempts"], event)


async def _send(outside: Outside, target: Target, event: AlertEvent) -> Answer:
    body = encode_alert_event(event, outside.public_url)
    headers = headers_of(outside, target, event.event_id, body)
    if headers is None:
        return Answer("wrong_signing_key")
    return await post(outside, target.url, headers, body)


def headers_of(outside: Outside, target: Target, event_id: UUID, body: bytes) -> dict[str, str] | None:
    """Sign a body for an endpoint; None, and a line in the log, if its secrets cannot be computed here."""
    stored = zip(target.nonces, target.sha256s, strict=True)
    keys = [secret_of(outside.signing_key, nonce, sha256) for nonce, sha256 in stored]
    signing = [key for key in keys if key is not None]
    if len(signing) < len(keys):
        log.error("TRAILMATCH_SIGNING_KEY is not the one with which the endpoint's secret was made")
        return None
    return {"Content-Type": CONTENT_TYPE, **signed_headers(signing, event_id, outside.clock(), body)}


SET_ENDPOINT = """
UPDATE endpoint SET failures = $3, resume_at = greatest(resume_at, $4), claimed_until = now() + $5,
    disabled_at = CASE WHEN $6::text IS NULL THEN disabled_at ELSE coalesce(disabled_at, $7) END,
    disabled_because = CASE WHEN $6::text IS NULL THEN disabled_because ELSE coalesce(disabled_because, $6) END
WHERE endpoint_id = $1 AND claim_token = $2
RETURNING endpoint_id
"""
SET_DELIVERY = """
UPDATE delivery SET attempts = attempts + 1, delivered_at = $2, due_at = $3
WHERE delivery_id = $1 AND delivered_at IS NULL AND cancelled_at IS NULL
RETURNING attempts
"""


async def _record(
    connection: Connection,
    outside: Outside,
    claimed: Claimed,
    message: _Message,
    answer: Answer,
    attempted: Attempted,
) -> None:
    now = outside.clock()
    is_done = answer.error is None
    failures = 0 if is_done else claimed.failures + 1
    if is_done:
        go_on = Next(now, now)
    else:
        failed = Failed(answer.was_sent, answer.status, answer.retry_after_s)
        go_on = after_failure(now, failed, failures, message.attempts + 1, outside.draw())
    gone = "it answered 410 Gone" if answer.error == "gone" else None
    held = await connection.fetchval(
        SET_ENDPOINT, claimed.endpoint_id, claimed.token, failures, go_on.receiver_at, LEASE, gone, now
    )
    if held is None:
        raise LeaseLost
    attempt = await connection.fetchval(SET_DELIVERY, message.delivery_id, now if is_done else None, go_on.delivery_at)
    if attempt is not None:  # else it was cancelled meanwhile
        await add_attempt(connection, message.delivery_id, attempt, attempted)
