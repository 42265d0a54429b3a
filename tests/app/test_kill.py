"""What was acknowledged survives `kill -9` at any moment, and is matched and told of exactly once."""

import asyncio
import fcntl
import random
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from app.db import connect
from app.postgres import running_postgres
from benchmarks.parties import Keys
from benchmarks.playing import play
from benchmarks.service_process import Running, Service, free_port, own_state_dir, prepare
from benchmarks.story import Story
from matcher.profile import plain_radius
from tests.app.stories import walks

PROFILE = plain_radius("replay", 120.0, 300.0)
KILLS = 4


@pytest.fixture(scope="module")
def story() -> Story:
    return walks(seed=7, devices=40, minutes=400, crimes=80)


@pytest.fixture(scope="module")
def undisturbed(story: Story) -> "Ending":
    with own_state_dir() as state_dir:
        keys = prepare(state_dir, PROFILE)
        service = Service(state_dir, free_port())
        asyncio.run(play_through(story, service.address, keys))
        assert service.stop() == 0
        ending = read_ending(state_dir)
    assert len(ending.matches) > 100
    assert len(ending.alerts) > 50
    return ending


class Ending(NamedTuple):
    """What does not depend on the order and the number of attempts, and how often each alert was raised."""

    pings: int
    matches: set[tuple[object, ...]]
    alerts: set[tuple[object, ...]]
    raised: list[int]


MATCHES = """
SELECT m.match_id, m.incident_id, m.wearer_id, m.incident_version, m.verdict, m.evidence::text,
    encode(p.settings_sha256, 'hex')
FROM match m JOIN profile p USING (profile_id) WHERE m.is_live
"""
ALERTS = """
SELECT a.alert_id, a.match_id, r.evidence::text FROM alert a JOIN alert_revision r USING (alert_id, revision)
WHERE a.state <> 'withdrawn'
"""
# As the stream tells it; a revision without a place on it would not be told.
RAISED = """
SELECT count(*) FILTER (WHERE r.kind = 'raised' AND o.position IS NOT NULL)
FROM alert_revision r LEFT JOIN outbox o USING (alert_id, revision) GROUP BY r.alert_id
"""


def read_ending(state_dir: Path) -> Ending:
    async def read(url: str) -> Ending:
        async with connect(url) as connection:
            return Ending(
                await connection.fetchval("SELECT count(*) FROM ping"),
                {tuple(row) for row in await connection.fetch(MATCHES)},
                {tuple(row) for row in await connection.fetch(ALERTS)},
                [row[0] for row in await connection.fetch(RAISED)],
            )

    with running_postgres(state_dir) as server:
        return asyncio.run(read(server.url()))


async def play_through(story: Story, address: str, keys: Keys) -> None:
    await play(story, address, keys, PROFILE.name, lambda *_: None, batch_pings=100)


def check(ending: Ending, undisturbed: Ending, story: Story) -> None:
    assert ending.pings == story.device.size
    assert ending.matches == undisturbed.matches
    assert ending.alerts == undisturbed.alerts
    assert set(ending.raised) == {1}


def check_nothing_is_left(state_dir: Path) -> None:
    left = [
        p.info for p in psutil.process_iter(["pid", "cmdline"]) if str(state_dir) in " ".join(p.info["cmdline"] or [])
    ]
    assert left == []
    # Each of PostgreSQL's processes holds this lock as long as it lives.
    with (state_dir / "postgres.server").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def while_playing(
    story: Story, address: str, keys: Keys, disturb: Callable[[], Coroutine[None, None, None]]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(play_through(story, address, keys))
        tasks.create_task(disturb())


def test_a_service_that_is_killed_again_and_again_ends_with_the_same_answer(story: Story, undisturbed: Ending) -> None:
    draw = random.Random(3)
    with own_state_dir() as state_dir:
        keys, port = prepare(state_dir, PROFILE), free_port()
        service = Service(state_dir, port)

        async def kill_and_restart() -> None:
            nonlocal service
            for _ in range(KILLS):
                await asyncio.to_thread(service.wait_until_ready, keys.force)
                await asyncio.sleep(draw.uniform(0.0, 1.0))
                service.kill()
                service = Service(state_dir, port)

        try:
            asyncio.run(while_playing(story, service.address, keys, kill_and_restart))
        finally:
            code = service.stop()
        assert code == 0
        check(read_ending(state_dir), undisturbed, story)
        check_nothing_is_left(state_dir)


def test_a_worker_that_is_killed_and_one_whose_database_goes_end_with_the_same_answer(
    story: Story, undisturbed: Ending
) -> None:
    draw = random.Random(4)
    with own_state_dir() as state_dir:
        keys, port = prepare(state_dir, PROFILE), free_port()
        service = Service(state_dir, port, "--no-matcher")
        service.wait_until_ready(keys.force)
        worker = Running(state_dir, "worker")

        async def kill_and_restart() -> None:
            nonlocal service, worker
            await asyncio.sleep(draw.uniform(0.5, 2.0))
            worker.kill()
            worker = Running(state_dir, "worker")
            await asyncio.sleep(draw.uniform(2.0, 3.0))
            # It takes the database with it; the worker has to find the next one.
            service.kill()
            service = Service(state_dir, port, "--no-matcher")

        try:
            asyncio.run(while_playing(story, service.address, keys, kill_and_restart))
            worker.raise_if_ended()
        finally:
            codes = worker.stop(), service.stop()
        assert codes == (0, 0)
        check(read_ending(state_dir), undisturbed, story)
        check_nothing_is_left(state_dir)


def test_it_stops_in_good_order_while_somebody_listens_to_the_stream() -> None:
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        service = Service(state_dir, free_port())
        try:
            service.wait_until_ready(keys.force)
            headers = {"Authorization": f"Bearer {keys.force}"}
            with httpx.stream("GET", f"{service.address}/v1/alerts/stream", headers=headers, timeout=30) as stream:
                lines = stream.iter_lines()
                assert next(lines) == ": open"
                service.process.send_signal(signal.SIGTERM)
                # A client that stays would hold up a server that waits for it.
                assert service.process.wait(30) == 0
        finally:
            service.stop()
        check_nothing_is_left(state_dir)
