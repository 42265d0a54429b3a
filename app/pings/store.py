"""The one transaction in which a batch of pings is stored, or several batches that wait at the same time.

Locks are taken in one order by everybody, so that batches at the same time never wait for each other in a circle: days
rising (shared: they exclude only sealing), dropped days rising (exclusive), `ping` rising by day and key,
`ping_conflict` rising, `dirty_hour` rising. Devices and partitions are made before, in transactions of their own.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import asyncpg
import numpy as np

from app.access.viewer import Viewer
from app.audit.store import Deed, record_all
from app.db import Connection, Pool
from app.devices.store import KnownDevices
from app.pings.clashes import Merged, Sorted, merge, sort_by_key
from app.pings.compute import compute
from app.pings.delivery import Delivery, Reject
from app.pings.known_pings import Before, KnownPings, is_stored
from app.pings.late import split_late, write_late
from app.pings.marks import KnownMarks, Sealings, hours_of, mark_hours
from app.pings.partitions import Partitions, days_of
from app.pings.payload import PING, Pings, pack
from app.pings.table import KeyIsKnown, Written, copy_new, together, write_new, write_pings
from app.wake import send_hint


class Receipt(NamedTuple):
    """What became of the rows of a batch; each counts once."""

    batch_id: int
    accepted: int  # new
    duplicates: int  # known already, to the last field
    conflicts: int  # new, but another fix of that device, time and source is known; both are kept
    rejected: int


class Posted(NamedTuple):
    """A delivery, and who sent it."""

    viewer: Viewer
    delivery: Delivery


# So many batches of those that wait may turn out to have a key that is known, before each is stored by itself.
_TRIES: Final = 3


class PingStore:
    """Stores batches; remembers which devices, partitions and marks are there, and the pings of late."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._devices = KnownDevices(pool)
        self._partitions = Partitions(pool)
        self._marks = KnownMarks()
        self._known = KnownPings()

    async def store(self, viewer: Viewer, delivery: Delivery) -> Receipt:
        """Store a batch and return when it is on disk: all of it or, if this raises or is cancelled, nothing.

        The same batch again is all duplicates. In whatever order, split and repetition fixes come, what is stored of
        them in the end is the same. About 3 µs a new ping on the server, and eight round trips for each batch.

        Raises TooLarge if the pings lie on more days than one batch may have.
        """
        digest = await compute(delivery.pings.nbytes, delivery.pings_digest)
        receipt = await self._store_again(viewer, delivery, digest) or await self._store_any(viewer, delivery)
        self._remember(Posted(viewer, delivery), digest, receipt)
        return receipt

    def _remember(self, posted: Posted, digest: bytes, receipt: Receipt) -> None:
        self._known.remember(posted.viewer, digest, Before(receipt.batch_id, posted.delivery.content_sha256))

    async def _store_again(self, viewer: Viewer, delivery: Delivery, digest: bytes) -> Receipt | None:
        """Store a batch whose very pings were stored lately; None if they were not."""
        before = self._known.before(viewer, delivery, digest)
        if before is None:
            return None
        async with self._pool.acquire() as connection, connection.transaction():
            if not await is_stored(connection, viewer, before):
                return None
            [batch_id] = await _begin(connection, [], 1)
            receipt = Receipt(batch_id, 0, delivery.pings.size, 0, 0)
            await _write_batches(connection, [_Entry(Posted(viewer, delivery), receipt, delivery.pings[:0])], [])
        return receipt

    async def _store_any(self, viewer: Viewer, delivery: Delivery) -> Receipt:
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
            await send_hint(connection, "pings")
        return receipt

    async def store_together(self, posted: list[Posted]) -> list[Receipt | None]:
        """Store batches of different bodies in one transaction; None for each that has to be stored by itself.

        That is one with a key that another one brings or that is known already, or with pings of a dropped day. What a
        transaction costs is shared then, and more pings of one device lie side by side, which halves what the
        database does for each. If this raises or is cancelled, nothing is stored of any.
        """
        digests = await compute(sum(each.delivery.pings.nbytes for each in posted), _digests, posted)
        again = {
            n for n, (each, digest) in enumerate(zip(posted, digests, strict=True)) if self._known.before(*each, digest)
        }
        bodies = [
            np.empty(0, PING) if number in again else await self._with_device_ids(*each)
            for number, each in enumerate(posted)
        ]
        merged, apart = await compute(sum(body.nbytes for body in bodies), merge, bodies)
        apart |= again
        days = days_of(merged.pings["fixed_at_us"])
        receipts: list[Receipt | None] = [None] * len(posted)
        if await self._partitions.ensure(days):
            return receipts
        for _ in range(_TRIES):
            rest = [number for number in range(len(posted)) if number not in apart]
            if not rest:
                break
            try:
                stored = await self._store_merged(posted, bodies, merged, rest, days)
            except KeyIsKnown as clash:
                place = clash.place_in(merged.pings)
                if place is None:
                    break
                known = int(merged.body[place])
                apart.add(known)
                merged = merged.without({known})
            else:
                for number, receipt in zip(rest, stored, strict=True):
                    receipts[number] = receipt
                    self._remember(posted[number], digests[number], receipt)
                break
        return receipts

    async def _store_merged(
        self, posted: list[Posted], bodies: list[Pings], merged: Merged, rest: list[int], days: list[int]
    ) -> list[Receipt]:
        hours = hours_of(merged.pings)
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                batch_ids = await _begin(connection, days, len(rest))
                batch_id = np.zeros(len(bodies), np.int64)
                batch_id[rest] = batch_ids
                await copy_new(connection, merged.pings, batch_id[merged.body])
                entries = [
                    _Entry(
                        posted[number],
                        Receipt(at, bodies[number].size, 0, 0, len(posted[number].delivery.rejects)),
                        bodies[number],
                    )
                    for number, at in zip(rest, batch_ids, strict=True)
                ]
                last_sealed = await _write_batches(connection, entries, days)
                await mark_hours(connection, self._marks.missing(hours, last_sealed))
                await _settle(connection, [settled for n in rest for settled in posted[n].delivery.settled])
            self._marks.remember(hours, last_sealed)
            await send_hint(connection, "pings")
        return [entry.receipt for entry in entries]

    async def _with_device_ids(self, viewer: Viewer, delivery: Delivery) -> Pings:
        place = delivery.pings["device_id"]
        used = np.flatnonzero(np.bincount(place, minlength=len(delivery.serials)))
        ids = np.zeros(len(delivery.serials), np.int32)
        ids[used] = await self._devices.ids(viewer.organisation_id, [delivery.serials[i] for i in used.tolist()])
        pings = delivery.pings.copy()
        pings["device_id"] = ids[place]
        return pings


def _digests(posted: list[Posted]) -> list[bytes]:
    return [each.delivery.pings_digest() for each in posted]


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
    ARRAY(SELECT nextval(pg_get_serial_sequence('ping_batch', 'batch_id')) FROM generate_series(1, $2::int)),
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', true) END,
    (SELECT count(pg_advisory_xact_lock_shared(1, day)) FROM unnest($1::int[]) AS day)
"""


async def _begin(connection: Connection, days: list[int], count: int) -> list[int]:
    """Take the locks of these days, rising, and give so many numbers of batches."""
    batch_ids: list[int] = await connection.fetchval(BEGIN, days, count)
    return batch_ids


async def _store(connection: Connection, work: _Work, marks: KnownMarks, write: Write) -> Receipt:
    viewer, delivery, batch, days, dropped = work
    late, hot = split_late(batch, dropped)
    async with connection.transaction():
        [batch_id] = await _begin(connection, days, 1)
        written_late = await write_late(connection, late, dropped, batch_id)
        written = await write(connection, hot, batch_id)
        hours = hours_of(written.changed)
        written = together(written, written_late)
        known = delivery.pings.size - written.new - written.conflicts
        receipt = Receipt(batch_id, written.new, known, written.conflicts, len(delivery.rejects))
        # A fix that only contradicts another one is news to the matcher as well: the evidence says so.
        news = np.concatenate([written.changed, written.beside])
        last_sealed = await _write_batches(connection, [_Entry(Posted(viewer, delivery), receipt, news)], days)
        await mark_hours(connection, marks.missing(hours, last_sealed))
        await _settle(connection, delivery.settled)
    marks.remember(hours, last_sealed)
    return receipt


class _Entry(NamedTuple):
    """A batch as it goes into the inbox."""

    posted: Posted
    receipt: Receipt
    news: Pings  # what the matcher has to look at


# Nothing waits for the matcher if nothing is new to it.
WRITE_BATCHES = """
WITH written AS (
    INSERT INTO ping_batch (batch_id, organisation_id, api_key_id, content_sha256, accepted, duplicates, conflicts,
        rejected, payload, matched_at)
    OVERRIDING SYSTEM VALUE
    SELECT b.*, CASE WHEN b.payload IS NULL THEN now() END
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::int[], $6::int[], $7::int[], $8::int[],
        $9::bytea[]) AS b (batch_id, organisation_id, api_key_id, content_sha256, accepted, duplicates, conflicts,
        rejected, payload)
)
SELECT ARRAY(
    SELECT coalesce((SELECT last_sealed_by::text FROM sealed_day WHERE sealed_day.day = d.day), '')
    FROM unnest($10::int[]) WITH ORDINALITY AS d (day, place) ORDER BY place
)
"""


async def _write_batches(connection: Connection, entries: list[_Entry], days: list[int]) -> Sealings:
    """Put batches into the inbox, and what goes with them; gives the last sealing of each day, read under its lock."""
    last_sealed = await connection.fetchval(
        WRITE_BATCHES,
        [entry.receipt.batch_id for entry in entries],
        [entry.posted.viewer.organisation_id for entry in entries],
        [entry.posted.viewer.api_key_id for entry in entries],
        [entry.posted.delivery.content_sha256 for entry in entries],
        [entry.receipt.accepted for entry in entries],
        [entry.receipt.duplicates for entry in entries],
        [entry.receipt.conflicts for entry in entries],
        [entry.receipt.rejected for entry in entries],
        [pack(entry.news) if entry.news.size else None for entry in entries],
        days,
    )
    for (viewer, delivery), receipt, _ in entries:
        await _keep_rejects(connection, viewer, delivery.rejects, receipt.batch_id)
    await record_all(connection, [_deed(entry) for entry in entries])
    return dict(zip(days, last_sealed, strict=True))


def _deed(entry: _Entry) -> Deed:
    action = "pings.retry" if entry.posted.delivery.settled else "pings.store"
    return Deed(entry.posted.viewer, action, f"batch {entry.receipt.batch_id}")


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


async def _settle(connection: Connection, reject_ids: Sequence[int]) -> None:
    if reject_ids:
        await connection.execute(SETTLE, reject_ids)
