"""How the stored trails stand: what is sealed, what waits, what has been dropped."""

from datetime import datetime
from typing import NamedTuple

from app.db import Connection


class Standing(NamedTuple):
    """Counts of the whole store; sizes in bytes, indexes included."""

    sealed_hours: int
    sealed_pings: int
    sealed_bytes: int
    waiting_hours: int  # closed and not sealed
    open_hours: int
    late_pings: int
    hot_days: int  # whose rows are still there
    dropped_days: int


# Counts all chunks: some seconds for a year of a nation's tags.
STAND = """
SELECT
    (SELECT count(*) FROM trail_chunk) AS sealed_hours,
    (SELECT coalesce(sum(n), 0)::bigint FROM trail_chunk) AS sealed_pings,
    pg_total_relation_size('trail_chunk') AS sealed_bytes,
    (SELECT count(*) FROM dirty_hour WHERE hour_at <= $1::timestamptz - interval '1 hour') AS waiting_hours,
    (SELECT count(*) FROM dirty_hour WHERE hour_at > $1::timestamptz - interval '1 hour') AS open_hours,
    (SELECT count(*) FROM ping_late) AS late_pings,
    (SELECT count(*) FROM pg_inherits WHERE inhparent = 'ping'::regclass) AS hot_days,
    (SELECT count(*) FROM sealed_day WHERE dropped_at IS NOT NULL) AS dropped_days
"""


async def read_standing(connection: Connection, closed_before: datetime) -> Standing:
    """Say how the trails stand, for hours that ended before an instant."""
    row = await connection.fetchrow(STAND, closed_before)
    assert row is not None
    return Standing(**row)
