"""Rejected rows are forgotten after 30 days: they hold positions, sent again or not."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import asyncpg
import structlog

from app.db import Pool
from app.ending import end_if_cancelled
from app.pings.rejects import KEPT_FOR

log = structlog.get_logger("trailmatch.pings")

_EVERY_S: Final = 3_600.0
_AT_ONCE: Final = 10_000


async def forget_rejects(pool: Pool) -> None:
    """Forget what is too old every hour, until cancelled; whatever fails is tried again the next hour."""
    while True:
        try:
            forgotten = await forget_rejects_before(pool, datetime.now(UTC) - KEPT_FOR)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("the database failed to forget rejected rows", error=type(error).__name__)
        except Exception:
            log.exception("old rejected rows were not forgotten")
        else:
            if forgotten:
                log.info("old rejected rows were forgotten", rows=forgotten)
        end_if_cancelled()
        await asyncio.sleep(_EVERY_S)


# By their ids, which rise with time, so that no index of the time is needed.
FORGET = """
WITH oldest AS (SELECT reject_id FROM ping_reject ORDER BY reject_id LIMIT $2),
forgotten AS (
    DELETE FROM ping_reject USING oldest
    WHERE ping_reject.reject_id = oldest.reject_id AND rejected_at < $1 RETURNING 1
)
SELECT count(*) FROM forgotten
"""


async def forget_rejects_before(pool: Pool, before: datetime, at_once: int = _AT_ONCE) -> int:
    """Delete rows that were rejected before an instant, some thousands in a transaction; gives how many."""
    forgotten = 0
    while deleted := int(await pool.fetchval(FORGET, before, at_once)):
        forgotten += deleted
    return forgotten
