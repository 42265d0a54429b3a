"""The delivery log is forgotten some time after what it tells of was settled; what waits is never forgotten."""

from datetime import datetime
from typing import Final

from app.db import Connection, Pool

_AT_ONCE: Final = 5_000

# The one that deletes from the log of attempts says so; every other deletion is refused.
SAY_SO = "SELECT set_config('trailmatch.forgets', 'attempt', true)"
# Locked first, so that one which is being sent again at this moment is not half forgotten.
FIND_SETTLED = """
SELECT delivery_id FROM delivery
WHERE coalesce(delivered_at, cancelled_at) < $1 AND (delivered_at IS NOT NULL OR cancelled_at IS NOT NULL)
ORDER BY coalesce(delivered_at, cancelled_at) LIMIT $2
FOR UPDATE SKIP LOCKED
"""
FORGET_ATTEMPTS = "DELETE FROM attempt WHERE delivery_id = ANY($1::bigint[])"
FORGET_MAILED = "DELETE FROM notice WHERE delivery_id = ANY($1::bigint[])"
FORGET_DELIVERIES = "DELETE FROM delivery WHERE delivery_id = ANY($1::bigint[])"


async def forget_deliveries_before(pool: Pool, before: datetime, at_once: int = _AT_ONCE) -> int:
    """Delete what was settled before an instant, some thousands in a transaction; gives how many deliveries.

    With a delivery go its attempts and the notices that a mail carried. Notices to people who want no mail go by
    themselves.
    """
    forgotten = 0
    async with pool.acquire() as connection:
        while deleted := await _forget_some(connection, before, at_once):
            forgotten += deleted
        while await _forget_notices(connection, before, at_once):
            pass
    return forgotten


async def _forget_some(connection: Connection, before: datetime, at_once: int) -> int:
    async with connection.transaction():
        ids = [row["delivery_id"] for row in await connection.fetch(FIND_SETTLED, before, at_once)]
        if ids:
            await connection.execute(SAY_SO)
            for statement in (FORGET_ATTEMPTS, FORGET_MAILED, FORGET_DELIVERIES):
                await connection.execute(statement, ids)
    return len(ids)


FORGET_NOTICES = """
WITH forgotten AS (
    DELETE FROM notice WHERE notice_id IN (
        SELECT notice_id FROM notice WHERE delivery_id IS NULL AND due_at IS NULL AND noticed_at < $1
        ORDER BY noticed_at LIMIT $2
    ) AND delivery_id IS NULL AND due_at IS NULL RETURNING 1
)
SELECT count(*) FROM forgotten
"""


async def _forget_notices(connection: Connection, before: datetime, at_once: int) -> int:
    return int(await connection.fetchval(FORGET_NOTICES, before, at_once))
