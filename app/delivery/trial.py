"""A test of an endpoint: one attempt now, signed as every other, whatever the endpoint's state."""

import time
from datetime import datetime
from uuid import UUID, uuid4

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection, Pool
from app.delivery.cloud_event import encode_test
from app.delivery.endpoints import find_endpoint, find_target
from app.delivery.log import Attempted, add_attempt, find_delivery
from app.delivery.outside import Outside
from app.delivery.schemas import LoggedDelivery
from app.delivery.webhook import Answer, post
from app.delivery.webhooks import headers_of
from app.errors import NotFound


async def send_test(pool: Pool, viewer: Viewer, endpoint_id: int, outside: Outside) -> LoggedDelivery:
    """Send a test and tell what came of it; nothing is tried again. Raises NotFound. Takes 45 s at most."""
    async with pool.acquire() as connection, connection.transaction():
        await find_endpoint(connection, viewer, endpoint_id)
        target = await find_target(connection, endpoint_id, outside.clock())
    if target is None:
        raise NotFound("Your organisation has no endpoint with this id.")
    event_id, started_at, started = uuid4(), outside.clock(), time.perf_counter()
    body = encode_test(event_id, started_at, outside.public_url)
    headers = headers_of(outside, target, event_id, body)
    answer = Answer("wrong_signing_key") if headers is None else await post(outside, target.url, headers, body)
    took_ms = round((time.perf_counter() - started) * 1000)
    attempted = Attempted(started_at, took_ms, answer.address, answer.status, answer.error)
    async with pool.acquire() as connection, connection.transaction():
        delivery_id = await _keep(connection, endpoint_id, event_id, attempted, outside.clock())
        await record(connection, viewer, "endpoints.test", f"endpoint={endpoint_id}")
        return await find_delivery(connection, viewer, delivery_id)


KEEP = """
INSERT INTO delivery (event_id, endpoint_id, created_at, due_at, attempts, delivered_at, cancelled_at)
VALUES ($1, $2, $3, $3, 1, $4, $5)
RETURNING delivery_id
"""


async def _keep(connection: Connection, endpoint_id: int, event_id: UUID, attempted: Attempted, now: datetime) -> int:
    is_done = attempted.error is None
    delivery_id = await connection.fetchval(
        KEEP, event_id, endpoint_id, attempted.started_at, now if is_done else None, None if is_done else now
    )
    await add_attempt(connection, delivery_id, 1, attempted)
    return int(delivery_id)
