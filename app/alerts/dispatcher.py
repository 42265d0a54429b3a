"""Gives what happens to alerts its place on the stream, after it was committed and one dispatcher at a time."""

from app import metrics
from app.db import WAIT_FOR_DISK, Pool
from app.wake import send_hint

EVENTS_A_ROUND = 1_000

# Held to commit: a later dispatcher draws higher positions, and they become visible later. So whoever has seen a
# position will never see a lower one appear.
# Whoever reads a position may tell people of it: nothing of it, nor of what led to it, can be lost then.
LOCK = WAIT_FOR_DISK + "; SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.stream', 0))"
DISPATCH = """
UPDATE outbox SET position = placed.position, dispatched_at = clock_timestamp()
FROM (
    SELECT outbox_id, nextval('stream_position') AS position
    FROM (SELECT outbox_id FROM outbox WHERE position IS NULL ORDER BY outbox_id LIMIT $1) AS waiting
) AS placed
WHERE outbox.outbox_id = placed.outbox_id
RETURNING extract(epoch FROM clock_timestamp() - created_at)::float8
"""


async def dispatch(pool: Pool, limit: int = EVENTS_A_ROUND) -> int:
    """Place events that have no position yet, oldest first; return how many."""
    async with pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute(LOCK)
            placed = await connection.fetch(DISPATCH, limit)
        if placed:
            await send_hint(connection, "stream")
    for (age_s,) in placed:
        metrics.ALERT_AGE.observe(age_s)
    return len(placed)
