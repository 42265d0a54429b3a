"""The days of which pings are stored."""

import numpy as np

from app.db import Connection
from matcher.trails import Longs

# A partition of `ping` is called by its day (app/pings/partitions.py); a day that has none any more is sealed.
FIND_DAYS = """
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01' AS day
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'ping'::regclass
UNION SELECT day FROM sealed_day
ORDER BY day
"""


async def find_days(connection: Connection) -> Longs:
    """Give the UTC days of which any ping can be stored, (D,), rising, counted from 1970-01-01."""
    return np.array([row["day"] for row in await connection.fetch(FIND_DAYS)], dtype=np.int64)
