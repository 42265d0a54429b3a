"""Leases on work: a claimant that dies or hangs loses its claim, and one that lives keeps it by renewing.

Work is written only together with the removal of the claim, `WHERE claim_token = mine`; who finds no such row any more
writes nothing (`LeaseLost`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog

from app.db import Pool
from app.ending import end_if_cancelled

LEASE = timedelta(seconds=15)
_RENEWALS = 4  # within one lease

log = structlog.get_logger("trailmatch.lease")


class LeaseLost(Exception):  # noqa: N818 - not a fault: somebody else has the work now
    """The claim ran out and was taken, or the work was overtaken; nothing was written."""


@contextlib.asynccontextmanager
async def renewed(pool: Pool, renew: str, token: UUID) -> AsyncIterator[None]:
    """Run the statement `renew` (token, lease) a few times a lease for the block."""
    task = asyncio.create_task(_renew(pool, renew, token))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(pool: Pool, renew: str, token: UUID) -> None:
    while True:
        await asyncio.sleep(LEASE.total_seconds() / _RENEWALS)
        try:
            await pool.execute(renew, token, LEASE)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # The block's own statements will meet the same trouble; the lease decides who goes on.
            log.warning("a lease could not be renewed", error=type(error).__name__)
        end_if_cancelled()
