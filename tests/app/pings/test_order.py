"""What is stored in the end depends on the fixes only: not on order, split, repetition or who came at the same time."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access.organisations import find_or_create_organisation
from app.access.viewer import Viewer
from app.db import Connection, Pool
from app.pings import known_pings
from app.pings.delivery import Delivery, Reject
from app.pings.partitions import create_partition
from app.pings.payload import PING, Pings, unpack
from app.pings.problems import RowProblem
from app.pings.store import PingStore, Posted, Receipt
from app.pings.table import _lock_different
from app.pings.waiting import WaitingRoom

DAY = 19_783  # 2024-03-01
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
NOON_US = DAY * 86_400_000_000 + 43_200_000_000
SERIALS = ["A1", "B2", "C3"]

Fix = tuple[int, ...]


class Stored(NamedTuple):
    """The two tables by serial, without batch ids."""

    pings: list[Fix]
    beside: list[Fix]


def fixes() -> st.SearchStrategy[Fix]:
    """Few keys and few values, so that most fixes repeat or contradict each other."""
    return st.tuples(
        st.integers(0, 2),
        st.sampled_from([NOON_US, NOON_US + 1, NOON_US + 43_200_000_000]),
        st.sampled_from([0, 1]),
        st.sampled_from([-1, 5]),
        st.just(514_545_000),
        st.sampled_from([-1, 0, 300, 900]),
        st.sampled_from([-1, 120]),
        st.sampled_from([-1, 9_000]),
    )


def expected(sent: list[Fix]) -> Stored:
    """The rule, said once more: the smallest is the ping, unknown accuracies last."""
    by_key = defaultdict(set)
    for fix in sent:
        by_key[fix[:3]].add(fix)
    pings, beside = [], []
    for group in by_key.values():
        first, *others = sorted(group, key=lambda f: (f[5] <= 0, f[5], *f[3:5], *f[6:]))
        pings.append(first)
        beside += others
    return Stored(sorted(pings), sorted(beside))


def delivery(sent: list[Fix]) -> Delivery:
    pings = np.array(sent, PING)
    return Delivery(pings, np.arange(pings.size), SERIALS, [], [], {}, bytes(32))


PINGS = """
SELECT serial, (extract(epoch FROM fixed_at) * 1000000)::bigint, source, lon_e7, lat_e7, accuracy_cm, speed_cmps,
    direction_cdeg
FROM ping JOIN device USING (device_id)
"""


async def read_stored(connection: Connection) -> Stored:
    tables = [await connection.fetch(query) for query in (PINGS, PINGS.replace("ping ", "ping_conflict "))]
    return Stored(*(sorted((SERIALS.index(row[0]), *tuple(row)[1:]) for row in rows) for rows in tables))


async def clear(connection: Connection) -> None:
    await connection.execute("TRUNCATE ping, ping_conflict, dirty_hour; DELETE FROM ping_batch")


async def until_somebody_waits(connection: Connection) -> None:
    is_waiting = False
    while not is_waiting:
        is_waiting = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")


@pytest.fixture
async def viewer(connection: Connection) -> Viewer:
    organisation_id = await find_or_create_organisation(connection, "tags", "contractor", None)
    return Viewer(organisation_id, "tags", "contractor", frozenset())


def counts(receipts: list[Receipt]) -> int:
    return sum(receipt.accepted + receipt.duplicates + receipt.conflicts for receipt in receipts)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(fixes(), max_size=6), min_size=1, max_size=6))
async def test_one_after_the_other(
    pool: Pool, connection: Connection, viewer: Viewer, batches: list[list[Fix]]
) -> None:
    await clear(connection)
    store = PingStore(pool)
    receipts = [await store.store(viewer, delivery(batch)) for batch in batches]
    sent = list(chain.from_iterable(batches))
    stored = await read_stored(connection)
    assert stored == expected(sent)
    assert counts(receipts) == len(sent)
    assert sum(receipt.accepted for receipt in receipts) == len(stored.pings)
    assert sum(receipt.conflicts for receipt in receipts) == len(stored.beside)
    again = [await store.store(viewer, delivery(batch)) for batch in batches]
    assert sum(receipt.duplicates for receipt in again) == len(sent)
    assert await read_stored(connection) == stored


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(fixes(), max_size=8), min_size=2, max_size=8))
async def test_all_at_once(pool: Pool, connection: Connection, viewer: Viewer, batches: list[list[Fix]]) -> None:
    await clear(connection)
    stores = [PingStore(pool), PingStore(pool)]
    receipts = await asyncio.gather(
        *(stores[number % 2].store(viewer, delivery(batch)) for number, batch in enumerate(batches))
    )
    sent = list(chain.from_iterable(batches))
    stored = await read_stored(connection)
    assert stored == expected(sent)
    assert counts(receipts) == len(sent)
    assert sum(receipt.conflicts for receipt in receipts) == len(stored.beside)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(fixes(), max_size=6), min_size=1, max_size=5))
async def test_the_matcher_hears_of_every_fix_also_of_one_that_only_contradicts_another(
    pool: Pool, connection: Connection, viewer: Viewer, batches: list[list[Fix]]
) -> None:
    await clear(connection)
    store = PingStore(pool)
    for batch in batches:
        await store.store(viewer, delivery(batch))
    await assert_that_the_matcher_hears_of(batches, connection)


async def assert_that_the_matcher_hears_of(batches: list[list[Fix]], connection: Connection) -> None:
    inbox = await connection.fetch("SELECT payload, matched_at FROM ping_batch ORDER BY batch_id")
    heard = set[Fix]()
    for row in inbox:
        assert (row["payload"] is None) == (row["matched_at"] is not None)
        waiting: Pings = unpack(row["payload"] or b"\x01")
        heard |= set(waiting.tolist())
    ids = {row["device_id"]: row["serial"] for row in await connection.fetch("SELECT device_id, serial FROM device")}
    everything = expected(list(chain.from_iterable(batches)))
    assert sorted((SERIALS.index(ids[fix[0]]), *fix[1:]) for fix in heard) == sorted(
        [*everything.pings, *everything.beside]
    )
    hours = await connection.fetch("SELECT DISTINCT device_id, date_trunc('hour', fixed_at) FROM ping")
    assert set(await connection.fetch("SELECT device_id, hour_at FROM dirty_hour")) == set(hours)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(fixes(), max_size=6), min_size=2, max_size=8), st.integers(0, 3))
async def test_together(
    pool: Pool, connection: Connection, viewer: Viewer, batches: list[list[Fix]], known: int
) -> None:
    await clear(connection)
    room = WaitingRoom(pool)
    receipts = [await room.store(viewer, delivery(batch)) for batch in batches[:known]]
    # All of them wait when the first place is taken.
    receipts += await asyncio.gather(*(room.store(viewer, delivery(batch)) for batch in batches[known:]))
    sent = list(chain.from_iterable(batches))
    stored = await read_stored(connection)
    assert stored == expected(sent)
    assert [counts([receipt]) for receipt in receipts] == [len(batch) for batch in batches]
    assert sum(receipt.conflicts for receipt in receipts) == len(stored.beside)
    await assert_that_the_matcher_hears_of(batches, connection)


async def test_rejects_that_are_pings_now_are_settled_also_by_who_stores_together(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    store = PingStore(pool)
    rejects = [Reject(RowProblem(line, "/lat", "out_of_range", "No."), "{}") for line in (1, 2)]
    await store.store(viewer, delivery([])._replace(rejects=rejects))
    posted = [
        Posted(viewer, delivery([(device, NOON_US, 1, 3, 1, -1, -1, -1)])._replace(settled=(row["reject_id"],)))
        for device, row in enumerate(await connection.fetch("SELECT reject_id FROM ping_reject"))
    ]
    assert len(posted) == 2
    assert None not in await store.store_together(posted)
    assert await connection.fetchval("SELECT count(*) FROM ping_reject WHERE retried_at IS NULL") == 0


async def test_rows_that_are_rejected_again_are_kept_again_and_those_to_settle_are_settled_though_the_pings_are_known(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    store = PingStore(pool)
    sent = delivery([(0, NOON_US, 1, 3, 1, -1, -1, -1)])
    await store.store(viewer, sent)
    rejects = [Reject(RowProblem(2, "/lat", "out_of_range", "No."), "{}")]
    receipt = await store.store(viewer, sent._replace(rejects=rejects))
    assert (receipt.duplicates, receipt.rejected) == (1, 1)
    reject_id = await connection.fetchval("SELECT reject_id FROM ping_reject")
    await store.store(viewer, sent._replace(settled=(reject_id,)))
    assert await connection.fetchval("SELECT retried_at IS NOT NULL FROM ping_reject")


async def test_only_the_bodies_of_late_are_remembered(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_pings, "_LIMIT", 2)
    known, sent = known_pings.KnownPings(), delivery([(0, NOON_US, 1, 3, 1, -1, -1, -1)])
    for number in range(3):
        known.remember(viewer, bytes([number]), known_pings.Before(number, b""))
    found = [known.before(viewer, sent, bytes([number])) for number in range(3)]
    assert [before and before.batch_id for before in found] == [None, 1, 2]


BROUGHT = "SELECT serial, batch_id FROM ping JOIN device USING (device_id) WHERE fixed_at = $1"


async def test_of_bodies_stored_together_only_that_with_a_known_key_goes_by_itself_and_each_ping_names_its_own_batch(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    store = PingStore(pool)
    bodies: list[list[Fix]] = [[(device, NOON_US + t, 1, 7, 0, -1, -1, -1) for t in range(2)] for device in range(3)]
    await store.store(
        viewer, delivery([*((device, NOON_US + 9, 1, 7, 0, -1, -1, -1) for device in range(3)), bodies[1][0]])
    )
    receipts = await store.store_together([Posted(viewer, delivery(body)) for body in bodies])
    assert [receipt is None for receipt in receipts] == [False, True, False]
    brought = await connection.fetch(BROUGHT, NOON + timedelta(microseconds=1))
    batch_of = {row["serial"]: row["batch_id"] for row in brought}
    assert [batch_of[serial] for serial in ("A1", "C3")] == [receipt.batch_id for receipt in receipts if receipt]


async def test_batches_in_opposite_orders_do_not_wait_for_each_other_for_ever(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    draw = np.random.default_rng(1)
    sent = [(int(d), NOON_US + int(t), 1, int(lon), 0, -1, -1, -1) for d, t, lon in draw.integers(0, 3, (600, 3))]
    # Over midnight.
    sent += [(d, NOON_US + t * 300_000_000, 1, 7, 0, -1, -1, -1) for d in range(3) for t in range(300)]
    store = PingStore(pool)
    batches = [[sent[place] for place in draw.permutation(len(sent))[:800]] for _ in range(24)]
    await asyncio.gather(*(store.store(viewer, delivery(batch)) for batch in batches))
    assert await read_stored(connection) == expected(list(chain.from_iterable(batches)))


HOLD = """
INSERT INTO ping (device_id, fixed_at, source, lon_e7, lat_e7, accuracy_cm, speed_cmps, direction_cdeg, batch_id)
SELECT device_id, $2, 1, 0, 0, -1, -1, -1, 0 FROM device WHERE serial = $1
"""


@pytest.mark.parametrize("is_one_known", [False, True])
async def test_of_two_days_the_earlier_one_is_written_first(
    pool: Pool, connection: Connection, viewer: Viewer, is_one_known: bool
) -> None:
    store = PingStore(pool)
    known: list[Fix] = [(device, NOON_US, 1, 7, 0, -1, -1, -1) for device in range(2)]
    await store.store(viewer, delivery(known))
    # By key the first device comes first, and its fix is of the second day.
    second_day = (0, NOON_US + 86_400_000_000, 1, 7, 0, -1, -1, -1)
    first_day = (1, NOON_US + 1, 1, 7, 0, -1, -1, -1)
    await create_partition(connection, DAY + 1)
    async with pool.acquire() as one, pool.acquire() as other:
        holds_first_day = one.transaction()
        await holds_first_day.start()
        await one.execute(HOLD, SERIALS[1], NOON + timedelta(microseconds=1))
        task = asyncio.create_task(store.store(viewer, delivery([second_day, first_day, *known[: int(is_one_known)]])))
        await until_somebody_waits(connection)
        # Who waits for a key of the first day holds none of the second.
        holds_second_day = other.transaction()
        await holds_second_day.start()
        await other.execute("SET LOCAL lock_timeout = '3s'")
        await other.execute(HOLD, SERIALS[0], NOON + timedelta(days=1))
        await holds_second_day.rollback()
        await holds_first_day.rollback()
    assert (await task).accepted == 2


async def test_a_ping_that_changes_while_its_lock_is_waited_for_is_read_as_it_is_then(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    await PingStore(pool).store(viewer, delivery([(0, NOON_US, 1, 3, 1, -1, -1, -1)]))
    # Days around it, so that there are partitions to leave out.
    for day in (DAY - 1, DAY + 1):
        await create_partition(connection, day)
    device_id = await connection.fetchval("SELECT device_id FROM device")
    async with pool.acquire() as waiting, waiting.transaction():
        async with pool.acquire() as other, other.transaction():
            await other.execute("UPDATE ping SET lon_e7 = 1")
            task = asyncio.create_task(
                _lock_different(waiting, np.array([(device_id, NOON_US, 1, 2, 1, -1, -1, -1)], PING))
            )
            await until_somebody_waits(connection)
        places, stored = await task
    assert (places.tolist(), stored["lon_e7"].tolist()) == ([0], [1])


async def test_two_processes_may_make_the_same_day_at_once(pool: Pool, connection: Connection) -> None:
    async def make(day: int) -> None:
        async with pool.acquire() as another:
            await create_partition(another, day)

    await asyncio.gather(*(make(day) for day in (DAY, DAY + 1) for _ in range(8)))
    bounds = await connection.fetch(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname"
    )
    assert [row[0] for row in bounds] == [
        "FOR VALUES FROM ('2024-03-01 00:00:00+00') TO ('2024-03-02 00:00:00+00')",
        "FOR VALUES FROM ('2024-03-02 00:00:00+00') TO ('2024-03-03 00:00:00+00')",
    ]


async def test_a_day_that_was_dropped_is_made_again(pool: Pool, connection: Connection, viewer: Viewer) -> None:
    store = PingStore(pool)
    batch = delivery([(0, NOON_US, 1, 1, 1, -1, -1, -1)])
    await store.store(viewer, delivery([(0, NOON_US, 6, 1, 1, -1, -1, -1)]))
    await connection.execute("DROP TABLE ping_20240301")
    assert (await store.store(viewer, batch)).accepted == 1


async def test_a_cancelled_batch_leaves_nothing(pool: Pool, connection: Connection, viewer: Viewer) -> None:
    store = PingStore(pool)
    await store.store(viewer, delivery([(0, NOON_US, 1, 1, 1, -1, -1, -1)]))
    blocked = delivery([(d, NOON_US + t, 1, 1, 1, -1, -1, -1) for d in range(3) for t in range(1, 50)])
    async with pool.acquire() as sealing, sealing.transaction():
        await sealing.execute("SELECT pg_advisory_xact_lock(1, $1)", DAY)
        task = asyncio.create_task(store.store(viewer, blocked))
        await until_somebody_waits(connection)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len((await read_stored(connection)).pings) == 1
    assert await connection.fetchval("SELECT count(*) FROM ping_batch") == 1
    assert (await store.store(viewer, blocked)).accepted == 147


async def test_pings_sent_again_are_duplicates_without_being_looked_for(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    store = PingStore(pool)
    batch = delivery([(0, NOON_US, 1, 1, 1, -1, -1, -1), (1, NOON_US, 1, 1, 1, -1, -1, -1)])
    first = await store.store(viewer, batch)
    # The hand that takes a row away shows that nobody looks at it.
    await connection.execute("DELETE FROM ping WHERE device_id = (SELECT max(device_id) FROM ping)")
    again = await store.store(viewer, batch)
    assert again == Receipt(again.batch_id, 0, 2, 0, 0)
    assert await store.store_together([Posted(viewer, batch)]) == [None]
    waiting = await connection.fetch("SELECT batch_id FROM ping_batch WHERE matched_at IS NULL")
    assert [row["batch_id"] for row in waiting] == [first.batch_id]


async def test_pings_whose_batch_is_gone_are_stored_again(pool: Pool, connection: Connection, viewer: Viewer) -> None:
    store = PingStore(pool)
    batch = delivery([(0, NOON_US, 1, 1, 1, -1, -1, -1)])
    await store.store(viewer, batch)
    await clear(connection)  # as by a database that was set back to what it was before
    assert (await store.store(viewer, batch)).accepted == 1


async def test_equal_rows_of_other_devices_or_another_sender_are_other_pings(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    store = PingStore(pool)
    batch = delivery([(0, NOON_US, 1, 1, 1, -1, -1, -1)])
    assert (await store.store(viewer, batch)).accepted == 1
    assert (await store.store(viewer, batch._replace(serials=["D4", "B2", "C3"]))).accepted == 1
    other_id = await find_or_create_organisation(connection, "other-tags", "contractor", None)
    assert (await store.store(viewer._replace(organisation_id=other_id), batch)).accepted == 1


async def test_rejected_rows_of_a_body_that_is_sent_again_are_kept_again(
    pool: Pool, connection: Connection, viewer: Viewer
) -> None:
    store = PingStore(pool)
    rejects = [Reject(RowProblem(2, "/lat", "out_of_range", "too far north"), "{}")]
    batch = delivery([(0, NOON_US, 1, 1, 1, -1, -1, -1)])._replace(rejects=rejects)
    for _ in range(2):
        await store.store(viewer, batch)
    assert await connection.fetchval("SELECT count(*) FROM ping_reject") == 2
