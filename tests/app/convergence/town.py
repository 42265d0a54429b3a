"""One database for many histories: emptied, filled as the API fills it, and matched by any number of matchers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import NamedTuple
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest

from app.access.organisations import find_or_create_organisation
from app.access.viewer import Viewer
from app.activations.schemas import PostedActivation
from app.activations.store import store_activations
from app.alerts.dispatcher import dispatch
from app.db import Pool
from app.device_events.schemas import PostedDeviceEvent
from app.device_events.store import store_device_events
from app.inbox import count_inbox
from app.incidents.schemas import PostedIncident
from app.incidents.store import store_incidents
from app.licences.schemas import PostedLicence
from app.licences.store import store_licences
from app.matching.canonical import read_canonical
from app.matching.evaluate_stage import evaluate_due
from app.matching.join_stage import join_arrivals, join_batches, join_rejoins
from app.matching.open_incidents import OpenIncidents
from app.matching.profiles import publish_built_in, publish_profile
from app.pings.delivery import Delivery as PingDelivery
from app.pings.payload import PING
from app.pings.store import PingStore
from app.rows import check_rows
from app.trails.dropping import drop_day
from app.trails.sealing import DayIsBusy, seal_some
from app.wearers.schemas import PostedWearer
from app.wearers.store import store_wearers
from matcher.profile import Profile
from tests.app.convergence.deliveries import Activations, Delivery, Drop, Events, Licences, NextPost, Pings, Seal
from tests.app.convergence.histories import FORCE, History, Ping, Post
from tests.app.trails.dying import ROUND_TRIPS

CLOSED = datetime(2030, 1, 1, tzinfo=UTC)
WRITERS = 3
# Pings and pairs that a matcher takes up at once: few, so that several matchers have work.
A_CLAIM = (1, 3, 500)

KEPT = {"schema_migration", "organisation", "decision_reason"}
FIND_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""
INSERT_RUN = "INSERT INTO run (run_id, version, algorithm, host, process_id) VALUES ($1, 't', 't', 't', 1)"


class Matcher:
    """The stages of one worker."""

    def __init__(self, pool: Pool, run_id: UUID, draw: Random) -> None:
        arrivals, rejoins, batches = OpenIncidents(), OpenIncidents(), OpenIncidents()
        self.stages: list[Callable[[], Awaitable[int]]] = [
            partial(join_arrivals, pool, arrivals, draw.choice(A_CLAIM)),
            partial(join_rejoins, pool, rejoins, draw.choice(A_CLAIM)),
            partial(join_batches, pool, batches, draw.choice(A_CLAIM)),
            partial(evaluate_due, pool, run_id, draw.choice(A_CLAIM)),
            partial(dispatch, pool),
        ]


class _Lane(NamedTuple):
    """Posts that follow each other."""

    posts: Iterator[Post]
    turn: asyncio.Lock


class Town:
    """A force and a contractor, and nothing else when it is empty."""

    def __init__(self, pool: Pool, contractor: Viewer, force: Viewer, empty: str) -> None:
        self.pool, self.contractor, self.force, self._empty = pool, contractor, force, empty
        self.run_id = uuid4()
        self.drops = 0
        self._store = PingStore(pool)
        self._posts = list[_Lane]()

    async def begin(self, history: History) -> None:
        """Forget everything, and wait for the deliveries of a history."""
        async with self.pool.acquire() as connection:
            await connection.execute(self._empty)
            await publish_built_in(connection)
            await connection.execute(INSERT_RUN, self.run_id)
        self._store = PingStore(self.pool)
        self._posts = [_Lane(iter(posts), asyncio.Lock()) for posts in history.posts]

    async def deliver(self, delivery: Delivery) -> None:
        match delivery:
            case Pings(pings):
                await self._send(pings)
            case Activations(records):
                async with self.pool.acquire() as c, c.transaction():
                    rows = check_rows(records, PostedActivation)
                    outcome = await store_activations(c, self.contractor, rows.good)
                    assert not rows.errors + outcome.errors
            case Events(records):
                async with self.pool.acquire() as c, c.transaction():
                    events = check_rows(records, PostedDeviceEvent)
                    stored = await store_device_events(c, self.contractor, events.good)
                    assert not events.errors + stored.errors
            case Licences(records):
                async with self.pool.acquire() as c, c.transaction():
                    wearers = {record["wearer_reference"]: None for record in records}
                    await store_wearers(
                        c, self.force, check_rows([{"reference": w} for w in wearers], PostedWearer).good
                    )
                    licences = check_rows(records, PostedLicence)
                    kept = await store_licences(c, self.force, licences.good)
                    assert not licences.errors + kept.errors
            case NextPost(of):
                async with self._posts[of].turn:
                    await self._post(next(self._posts[of].posts))
            case Seal(day):
                await self._seal(day)
            case Drop(day):
                await self._seal(day)
                self.drops += await drop_day(self.pool, day)

    async def _send(self, pings: list[Ping]) -> None:
        serials = sorted({ping.serial for ping in pings})
        rows = np.array([(serials.index(ping.serial), *ping[1:]) for ping in pings], PING)
        await self._store.store(
            self.contractor, PingDelivery(rows, np.arange(rows.size), serials, [], [], {}, bytes(32))
        )

    async def _post(self, post: Post) -> None:
        async with self.pool.acquire() as c, c.transaction():
            if isinstance(post, Profile):
                await publish_profile(c, post)
                return
            rows = check_rows([post], PostedIncident)
            outcome = await store_incidents(c, self.force, rows.good, "radius-100m")
            assert not rows.errors + outcome.errors

    async def _seal(self, day: int) -> None:
        with contextlib.suppress(DayIsBusy):
            while (await seal_some(self.pool, day, CLOSED)).hours:
                pass

    async def settle(self, matcher: Matcher) -> None:
        """Let one matcher work until nothing waits."""
        while sum([await stage() for stage in matcher.stages]):
            pass

    async def rush(self, draw: Random, deliveries: list[Delivery], matchers: int) -> None:
        """Deliver by several writers at once, while so many matchers work; return when nothing waits."""
        coming, is_over = iter(deliveries), asyncio.Event()

        async def write() -> None:
            for delivery in coming:
                await self.deliver(delivery)

        async def repeat(stage: Callable[[], Awaitable[int]]) -> None:
            while not is_over.is_set():
                if not await stage():
                    await asyncio.sleep(draw.random() * 0.03)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(matchers):
                for stage in Matcher(self.pool, self.run_id, draw).stages:
                    tasks.create_task(repeat(stage))
            await asyncio.gather(*(write() for _ in range(WRITERS)))
            while await self._is_anything_waiting():  # noqa: ASYNC110 - only the database knows
                await asyncio.sleep(0.01)
            is_over.set()

    async def _is_anything_waiting(self) -> bool:
        async with self.pool.acquire() as connection:
            inbox = await count_inbox(connection)
            failed = await connection.fetchval("SELECT min(last_error) FROM due")
        assert failed is None, failed
        return any(waiting.n for waiting in inbox)

    async def state(self) -> bytes:
        """Read the canonical state of a town in which nothing waits."""
        assert not await self._is_anything_waiting()
        async with self.pool.acquire() as c, c.transaction(isolation="repeatable_read", readonly=True):
            return await read_canonical(c)


@contextlib.contextmanager
def slow_round_trips(draw: Random) -> Iterator[None]:
    """Have some of the round trips to the database take a few milliseconds, so that others get in between."""

    def slowed(method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def run(*args: object, **kwargs: object) -> object:
            if draw.random() < 0.2:
                await asyncio.sleep(draw.random() ** 3 * 0.01)
            return await method(*args, **kwargs)

        return run

    with pytest.MonkeyPatch.context() as patch:
        for name in ROUND_TRIPS:
            patch.setattr(asyncpg.Connection, name, slowed(getattr(asyncpg.Connection, name)))
        yield


@contextlib.asynccontextmanager
async def founded(pool: Pool) -> AsyncIterator[Town]:
    async with pool.acquire() as connection:
        contractor, force = [
            Viewer(await find_or_create_organisation(connection, code, kind, None), code, kind, frozenset())
            for code, kind in (("Tags", "contractor"), (FORCE, "force"))
        ]
        tables = {row["relname"] for row in await connection.fetch(FIND_TABLES)} - KEPT
    # As a replica, so that neither what is append-only nor the order of references refuses.
    deletes = [f"DELETE FROM {table}" for table in sorted(tables)]
    empty = "; ".join(["BEGIN", "SET LOCAL session_replication_role = replica", *deletes, "COMMIT"])
    yield Town(pool, contractor, force, empty)
