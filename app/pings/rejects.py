"""Rows that were rejected: read them, and send them through the checks again."""

import hashlib
import time
from datetime import timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection, Pool
from app.pings.checks import time_bounds
from app.pings.delivery import check_delivery
from app.pings.schemas import RejectedPing
from app.pings.store import PingStore
from app.pings.wire import from_rows

# From then on a row is as if it were not there, also before app.pings.forgetting has come to it.
KEPT_FOR: Final = timedelta(days=30)

LIST = """
SELECT reject_id, batch_id, rejected_at, line, pointer, code, message, raw FROM ping_reject
WHERE organisation_id = $1 AND retried_at IS NULL AND reject_id > $2 AND rejected_at > now() - $4::interval
ORDER BY reject_id LIMIT $3
"""


async def list_rejects(connection: Connection, viewer: Viewer, after: int, limit: int) -> list[RejectedPing]:
    """Give the last 30 days' rejected rows of the viewer's organisation after this id, oldest first."""
    rows = await connection.fetch(LIST, viewer.organisation_id, after, limit, KEPT_FOR)
    await record(connection, viewer, "pings.list_rejected", f"after {after}, {len(rows)} rows")
    return [RejectedPing(**row) for row in rows]


class Retried(NamedTuple):
    """What became of rejected rows."""

    tried: int
    accepted: int  # acceptable now, whether new or known by now; their rejects are settled


_PAGE = 5_000

WAITING = """
SELECT reject_id, raw, organisation_id, o.code AS organisation, o.kind
FROM ping_reject JOIN organisation AS o USING (organisation_id)
WHERE retried_at IS NULL AND rejected_at > now() - $6::interval AND (organisation_id, reject_id) > ($1, $2)
  AND ($3::text IS NULL OR o.code = $3) AND ($4::text IS NULL OR ping_reject.code = $4)
ORDER BY organisation_id, reject_id LIMIT $5
"""


async def retry_rejects(
    pool: Pool, retention_days: int | None, organisation: str | None = None, code: str | None = None
) -> Retried:
    """Check the last 30 days' rejected rows again, as if they came now, and store those that are acceptable.

    `organisation` and `code` take only that organisation's and those rejected with that code. Rows that are not
    acceptable still stay as they are. Cut off at any point, it can be called again.
    """
    store = PingStore(pool)
    retried = Retried(0, 0)
    after = (0, 0)
    while page := await _read_waiting(pool, after, organisation, code):
        for viewer, rows in groupby(page, _sender):
            accepted = await _retry(store, viewer, list(rows), retention_days)
            retried = Retried(retried.tried, retried.accepted + accepted)
        retried = Retried(retried.tried + len(page), retried.accepted)
        after = page[-1]["organisation_id"], page[-1]["reject_id"]
    return retried


async def _read_waiting(pool: Pool, after: tuple[int, int], organisation: str | None, code: str | None) -> list[Any]:
    async with pool.acquire() as connection:
        return await connection.fetch(WAITING, *after, organisation, code, _PAGE, KEPT_FOR)


def _sender(row: Any) -> Viewer:  # noqa: ANN401 - asyncpg's stub makes Record generic, the class is not
    return Viewer(row["organisation_id"], row["organisation"], row["kind"], frozenset())


async def _retry(store: PingStore, sender: Viewer, rejects: list[Any], retention_days: int | None) -> int:
    rows = [reject["raw"] for reject in rejects]
    bounds = time_bounds(time.time_ns() // 1_000, retention_days)
    delivery = check_delivery(from_rows(rows), bounds, hashlib.sha256(msgspec.json.encode(rows)).digest())
    settled = tuple(rejects[row]["reject_id"] for row in delivery.rows.tolist())
    if settled:
        await store.store(sender, delivery._replace(rejects=[], settled=settled))
    return len(settled)
