"""The days of the table `ping`: one partition for each UTC day, and one lock.

The lock: who writes pings of a day holds `pg_advisory_xact_lock_shared(1, day)`, day counted from 1970-01-01, to the
end of the transaction; who seals or drops a day holds it exclusively. Days are locked in rising order.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.db import Connection, Pool
from app.errors import TooLarge

DAY_US: Final = 86_400_000_000
# Each day of a batch takes four locks out of PostgreSQL's shared table, which has room for 6,400 unless configured.
DAYS_LIMIT: Final = 366


class Partitions:
    """Partitions known to be there, so that a batch of today's pings asks nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: set[int] = set()
        self._dropped: set[int] = set()

    async def ensure(self, days: list[int]) -> list[int]:
        """Make the missing ones of these days, each in a transaction of its own; returns the days that have none.

        A day whose partition was dropped gets none again: its pings go to `ping_late`.

        Raises TooLarge if there are more days than one batch may have.
        """
        if len(days) > DAYS_LIMIT:
            raise TooLarge(f"These pings lie on {len(days):,} days; a body may have pings of {DAYS_LIMIT}.")
        missing = [day for day in days if day not in self._known and day not in self._dropped]
        if missing:
            async with self._pool.acquire() as connection:
                for day in missing:
                    is_there = await create_partition(connection, day)
                    (self._known if is_there else self._dropped).add(day)
        return [day for day in days if day in self._dropped]

    def forget(self) -> None:
        """Look again next time: a partition has been dropped."""
        self._known.clear()


def days_of(fixed_at_us: NDArray[np.int64]) -> list[int]:
    """UTC days of these times, rising, counted from 1970-01-01."""
    return [int(day) for day in np.unique(fixed_at_us // DAY_US)]


# One process at a time makes partitions; another that wants the same day then finds it.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch ping partitions', 0))"
# Null if the partition is there. It is filled by nobody before it is attached, and made like its parent, so attaching
# reads nothing, and takes a lock that neither readers nor writers of other days wait for.
PARTITION_STATEMENT = """
SELECT format(
    'CREATE TABLE %1$I (LIKE ping INCLUDING DEFAULTS INCLUDING CONSTRAINTS);'
    'ALTER TABLE ping ATTACH PARTITION %1$I FOR VALUES FROM (%2$L) TO (%3$L)',
    name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
)
FROM (SELECT date '1970-01-01' + $1::int) AS d (day), LATERAL (SELECT 'ping_' || to_char(day, 'YYYYMMDD')) AS n (name)
WHERE to_regclass(quote_ident(name)) IS NULL
"""


IS_DROPPED = "SELECT EXISTS (SELECT FROM sealed_day WHERE day = $1 AND dropped_at IS NOT NULL)"


async def create_partition(connection: Connection, day: int) -> bool:
    """Make the partition of a day, counted from 1970-01-01, if it is missing. Not to be called in a transaction.

    False if it was dropped, and is not to be made again.
    """
    async with connection.transaction():
        await connection.execute(LOCK)
        if await connection.fetchval(IS_DROPPED, day):
            return False
        statement = await connection.fetchval(PARTITION_STATEMENT, day)
        if statement is not None:
            await connection.execute(statement)
    return True
