"""The delivery log: every attempt, with time, status and error, and no personal data; and another try by hand."""

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.delivery.addresses import Address
from app.delivery.schemas import Attempt, Delivery, LoggedDelivery
from app.errors import Conflict, NotFound

State = Literal["waiting", "delivered", "cancelled"]


class Attempted(NamedTuple):
    """What came of an attempt."""

    started_at: datetime
    took_ms: int
    address: Address | None
    status: int | None
    error: str | None


ADD_ATTEMPT = """
INSERT INTO attempt (delivery_id, attempt, started_at, took_ms, address, status, error)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def add_attempt(connection: Connection, delivery_id: int, attempt: int, attempted: Attempted) -> None:
    """Write an attempt down, in the transaction of what became of the delivery."""
    await connection.execute(ADD_ATTEMPT, delivery_id, attempt, *attempted)


class Filter(NamedTuple):
    """Which deliveries to give; None leaves a part open."""

    endpoint_id: int | None = None
    account_id: int | None = None
    alert_id: UUID | None = None
    state: State | None = None


LIST = """
SELECT d.delivery_id, d.event_id, d.endpoint_id, d.account_id, d.alert_id, a.wearer_id,
    CASE x.event WHEN 'revision' THEN r.kind ELSE x.event END AS event,
    CASE WHEN d.delivered_at IS NOT NULL THEN 'delivered' WHEN d.cancelled_at IS NOT NULL THEN 'cancelled'
        ELSE 'waiting' END AS state,
    d.created_at, d.due_at, d.delivered_at, d.attempts, t.status AS last_status, t.error AS last_error
FROM delivery d
LEFT JOIN endpoint e ON e.endpoint_id = d.endpoint_id
LEFT JOIN account c ON c.account_id = d.account_id
LEFT JOIN alert a ON a.alert_id = d.alert_id
LEFT JOIN outbox x ON x.outbox_id = d.outbox_id
LEFT JOIN alert_revision r ON r.alert_id = x.alert_id AND r.revision = x.revision
LEFT JOIN attempt t ON t.delivery_id = d.delivery_id AND t.attempt = d.attempts
WHERE $1 IN (e.organisation_id, c.organisation_id) AND d.delivery_id > $2
    AND ($4::bigint IS NULL OR d.delivery_id = $4)
    AND ($5::bigint IS NULL OR d.endpoint_id = $5)
    AND ($6::bigint IS NULL OR d.account_id = $6)
    AND ($7::uuid IS NULL OR d.alert_id = $7)
    AND ($8::text IS NULL
        OR $8 = 'delivered' AND d.delivered_at IS NOT NULL
        OR $8 = 'cancelled' AND d.cancelled_at IS NOT NULL
        OR $8 = 'waiting' AND d.delivered_at IS NULL AND d.cancelled_at IS NULL)
ORDER BY d.delivery_id LIMIT $3
"""


async def list_deliveries(
    connection: Connection, viewer: Viewer, after: int, limit: int, wanted: Filter
) -> list[Delivery]:
    """Read deliveries of the viewer's organisation, to its endpoints and to its people, the oldest first."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit, None, *wanted)
    asked = " ".join(f"{name}={value}" for name, value in wanted._asdict().items() if value is not None)
    wearers = {row["wearer_id"] for row in rows if row["wearer_id"] is not None}
    await record(connection, viewer, "deliveries.list", f"{asked} after={after}".strip(), wearers)
    return [_delivery(row) for row in rows]


LIST_ATTEMPTS = """
SELECT attempt, started_at, took_ms, host(address) AS address, status, error FROM attempt
WHERE delivery_id = $1 ORDER BY attempt
"""


async def find_delivery(connection: Connection, viewer: Viewer, delivery_id: int) -> LoggedDelivery:
    """Read a delivery and its attempts. Raises NotFound if the viewer's organisation has none with this id."""
    rows = await connection.fetch(LIST, viewer.organisation_id, 0, 1, delivery_id, *Filter())
    if not rows:
        raise NotFound("Your organisation has no delivery with this id.")
    wearers = [rows[0]["wearer_id"]] if rows[0]["wearer_id"] else []
    await record(connection, viewer, "deliveries.get", f"delivery={delivery_id}", wearers)
    attempts = [Attempt(**row) for row in await connection.fetch(LIST_ATTEMPTS, delivery_id)]
    return LoggedDelivery(**_delivery(rows[0]).model_dump(), log=attempts)


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.model_fields})


# Locked in the order in which the sender locks them: the endpoint first.
RESUME = """
UPDATE endpoint SET resume_at = '-infinity'
WHERE endpoint_id = (SELECT endpoint_id FROM delivery WHERE delivery_id = $1)
    AND disabled_at IS NULL AND deleted_at IS NULL
RETURNING endpoint_id
"""
# One that was delivered is sent again, with the same id, and before what waits of its alert.
SEND_AGAIN = """
UPDATE delivery SET due_at = $2, delivered_at = NULL WHERE delivery_id = $1 AND cancelled_at IS NULL
RETURNING delivery_id
"""
IS_ANOTHER_WAITING = """
SELECT EXISTS (
    SELECT FROM delivery d JOIN delivery other USING (account_id)
    WHERE d.delivery_id = $1 AND d.delivered_at IS NOT NULL AND other.delivered_at IS NULL
        AND other.cancelled_at IS NULL
)
"""


async def retry(connection: Connection, viewer: Viewer, delivery_id: int, now: datetime) -> LoggedDelivery:
    """Let a delivery be sent now, with the id that it has, be it acknowledged before or not.

    Raises NotFound, and Conflict if its endpoint is disabled or deleted, it is a test, or another mail to the same
    person waits.
    """
    delivery = await find_delivery(connection, viewer, delivery_id)
    if delivery.endpoint_id is None:
        if await connection.fetchval(IS_ANOTHER_WAITING, delivery_id):
            raise Conflict("Another mail to this person waits; it has to go out first.")
    elif delivery.event is None:
        raise Conflict("This was a test: send another one.")
    elif await connection.fetchval(RESUME, delivery_id) is None:
        raise Conflict("Its endpoint is disabled or deleted; enable it first.")
    if await connection.fetchval(SEND_AGAIN, delivery_id, now) is None:
        raise Conflict("This delivery was cancelled.")
    await record(connection, viewer, "deliveries.retry", f"delivery={delivery_id}")
    return await find_delivery(connection, viewer, delivery_id)
