"""The one transaction in which a batch of pings is stored.

Locks are taken in one order by everybody, so that batches at the same time never wait for each other in a circle: days
rising (shared: they exclude only sealing), dropped days rising (exclusive), keys of `ping` rising, `ping_conflict`
rising, `dirty_hour` rising. Devices and partitions are made before, in transactions of their own.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import asyncpg
import numpy as np

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection, Pool
from app.devices.store import KnownDevices
from app.pings.clashes import Sorted, sort_by_key
from app.pings.compute import compute
from app.pings.delivery import Delivery, Reject
from app.pings.late import split_late, write_late
from app.pings.marks import KnownMarks, Sealings, hours_of, mark_hours
from app.pings.partitions import Partitions, days_of
from app.pings.payload import Pings, pack
from app.pings.table import KeyIsKnown, Written, together, write_new, write_pings
from app.wake import send_hint


class Receipt(NamedTuple):
    """What became of the rows of a batch; each counts once."""

    batch_id: int
    accepted: int  # new
    duplicates: int  # known already, to the last field
    conflicts: int  # new, but another fix of that device, time and source is known; both are kept
    rejected: int


class PingStore:
    """Stores batches; remembers which devices, partitions and marks are there."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._devices = KnownDevices(pool)
        self._partitions = Partitions(pool)
        self._marks = KnownMarks()

    async def store(self, viewer: Viewer, delivery: Delivery) -> Receipt:
        """Store a batch and return when it is on disk: all of it or, if this raises or is cancelled, nothing.

        The same batch again is all duplicates. In whatever order, split and repetition fixes come, what is stored of
        them in the end is the same. About 3 µs a new ping on the server, and eight round trips for each batch.

        Raises TooLarge if the pings lie on more days than one batch may have.
        """
        pings = await self._with_device_ids(viewer, delivery)
        batch = await compute(pings.nbytes, sort_by_key, pings)
        days = days_of(batch.pings["fixed_at_us"])
        dropped = await self._partitions.ensure(days)
        for _ in days:
            try:
                return await self._store(viewer, delivery, batch, days, dropped)
            except asyncpg.CheckViolationError:
                # A day that we knew has lost its partition since, and while we look another may; each does it once.
                self._partitions.forget()
                dropped = await self._partitions.ensure(days)
        return await self._store(viewer, delivery, batch, days, dropped)

    async def _store(
        self, viewer: Viewer, delivery: Delivery, batch: Sorted, days: list[int], dropped: list[int]
    ) -> Receipt:
        work = _Work(viewer, delivery, batch, days, dropped)
        async with self._pool.acquire() as connection:
            try:
                receipt = await _store(connection, work, self._marks, write_new)
            except KeyIsKnown:
                # Nothing of it is there. That it is all new is tried first because it nearly always is, and costs half.
                receipt = await _store(connection, work, self._marks, write_pings)
            # Only a hint: the matcher looks by itself too.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await send_hint(connection, "pings")
        return receipt

    async def _with_device_ids(self, viewer: Viewer, delivery: Delivery) -> Pings:
        place = delivery.pings["device_id"]
        used = np.flatnonzero(np.bincount(place, minlength=len(delivery.serials)))
        ids = np.zeros(len(delivery.serials), np.int32)
        ids[used] = await self._devices.ids(viewer.organisation_id, [delivery.serials[i] for i in used.tolist()])
        pings = delivery.pings.copy()
        pings["device_id"] = ids[place]
        return pings


class _Work(NamedTuple):
    """A batch on its way into the tables."""

    viewer: Viewer
    delivery: Delivery
    batch: Sorted
    days: list[int]
    dropped: list[int]


Write = Callable[[Connection, Sorted, int], Awaitable[Written]]

# A server that is set to acknowledge even later, after its standbys, is left so.
BEGIN = """
SELECT
    nextval(pg_get_serial_sequence('ping_batch', 'batch_id')),
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', true) END,
    (SELECT count(pg_advisory_xact_lock_shared(1, day)) FROM unnest($1::int[]) AS day)
"""


async def _store(connection: Connection, work: _Work, marks: KnownMarks, write: Write) -> Receipt:
    viewer, delivery, batch, days, dropped = work
    late, hot = split_late(batch, dropped)
    async with connection.transaction():
        batch_id = int(await connection.fetchval(BEGIN, days))
        written_late = await write_late(connection, late, dropped, batch_id)
        written = await write(connection, hot, batch_id)
        hours = hours_of(written.changed)
        written = together(written, written_late)
        known = delivery.pings.size - written.new - written.conflicts
        receipt = Receipt(batch_id, written.new, known, written.conflicts, len(delivery.rejects))
        # A fix that only contradicts another one is news to the matcher as well: the evidence says so.
        news = np.concatenate([written.changed, written.beside])
        last_sealed = await _write_batch(connection, work, receipt, news)
        await mark_hours(connection, marks.missing(hours, last_sealed))
        await _keep_rejects(connection, viewer, delivery.rejects, batch_id)
        await _settle(connection, delivery.settled)
        action = "pings.retry" if delivery.settled else "pings.store"
        await record(connection, viewer, action, f"batch {batch_id}")
    marks.remember(hours, last_sealed)
    return receipt


# Nothing waits for the matcher if nothing is new to it.
WRITE_BATCH = """
INSERT INTO ping_batch (batch_id, organisation_id, api_key_id, content_sha256, accepted, duplicates, conflicts,
    rejected, payload, matched_at)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $9::bytea IS NULL THEN now() END)
RETURNING ARRAY(
    SELECT coalesce((SELECT last_sealed_by::text FROM sealed_day WHERE sealed_day.day = d.day), '')
    FROM unnest($10::int[]) WITH ORDINALITY AS d (day, place) ORDER BY place
)
"""


async def _write_batch(connection: Connection, work: _Work, receipt: Receipt, news: Pings) -> Sealings:
    """Put a batch into the inbox; gives the last sealing of each of its days, read under the days' locks."""
    last_sealed = await connection.fetchval(
        WRITE_BATCH,
        receipt.batch_id,
        work.viewer.organisation_id,
        work.viewer.api_key_id,
        work.delivery.content_sha256,
        receipt.accepted,
        receipt.duplicates,
        receipt.conflicts,
        receipt.rejected,
        pack(news) if news.size else None,
        work.days,
    )
    return dict(zip(work.days, last_sealed, strict=True))


KEEP_REJECTS = """
INSERT INTO ping_reject (batch_id, organisation_id, line, pointer, code, message, raw)
SELECT $1, $2, r.line, r.pointer, r.code, r.message, r.raw::jsonb
FROM unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::text[]) AS r (line, pointer, code, message, raw)
"""


async def _keep_rejects(connection: Connection, viewer: Viewer, rejects: list[Reject], batch_id: int) -> None:
    if rejects:
        await connection.execute(
            KEEP_REJECTS,
            batch_id,
            viewer.organisation_id,
            [reject.problem.line for reject in rejects],
            [reject.problem.pointer for reject in rejects],
            [reject.problem.code for reject in rejects],
            [reject.problem.message for reject in rejects],
            [reject.raw for reject in rejects],
        )


SETTLE = "UPDATE ping_reject SET retried_at = now() WHERE reject_id = ANY($1::bigint[])"


async def _settle(connection: Connection, reject_ids: tuple[int, ...]) -> None:
    if reject_ids:
        await connection.execute(SETTLE, reject_ids)
