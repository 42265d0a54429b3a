"""The matcher does not wait for the disk: what a server that is killed takes with it, and what it cannot."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from app.access.keys import create_key
from app.alerts.dispatcher import dispatch
from app.db import connect_pool
from app.main import create_app
from app.matching.evaluate_stage import evaluate_due
from app.migrate import migrate
from app.postgres import running_postgres
from app.postgres.server import Server
from app.settings import Settings
from tests.app.conftest import serving
from tests.app.matching.world import INSIDE, World

RAISED = {("C/1", "W"): ("new", 1)}
Work = Callable[[str, World], Awaitable[object]]


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A stopped database in which somebody was where a crime was, and nothing is matched yet."""
    with _directory() as state_dir:
        with running_postgres(state_dir) as server:
            asyncio.run(_tell_story(server.url()))
        yield state_dir


@pytest.fixture
def state_dir(made: Path) -> Iterator[Path]:
    with _directory() as state_dir:
        shutil.copytree(made / "postgres", state_dir / "postgres")
        yield state_dir


def test_what_nobody_was_told_of_is_lost_and_found_again(state_dir: Path) -> None:
    _work_until_killed(state_dir, _match)
    with running_postgres(state_dir) as server:
        assert asyncio.run(_alerts(server.url())) == {}
        asyncio.run(_with_world(server.url(), _match))
        assert asyncio.run(_alerts(server.url())) == RAISED


def test_what_has_a_place_on_the_stream_is_never_lost(state_dir: Path) -> None:
    async def match_and_place(url: str, world: World) -> None:
        await _match(url, world)
        assert await dispatch(world.pool) == 1

    _work_until_killed(state_dir, match_and_place)
    with running_postgres(state_dir) as server:
        assert asyncio.run(_alerts(server.url())) == RAISED


def test_what_somebody_has_read_is_never_lost(state_dir: Path) -> None:
    async def match_and_read(url: str, world: World) -> None:
        async with connect_pool(url) as pool, pool.acquire() as connection:
            key = await create_key(connection, world.force_id, {"alerts:read"}, label="test")
        async with serving(create_app(Settings(matcher=False), url), "on") as client:
            await _match(url, world)
            answer = await client.get("/v1/alerts", headers={"Authorization": f"Bearer {key}"})
            assert len(answer.json()["alerts"]) == 1

    _work_until_killed(state_dir, match_and_read)
    with running_postgres(state_dir) as server:
        assert asyncio.run(_alerts(server.url())) == RAISED


@contextmanager
def _directory() -> Iterator[Path]:
    # Its path is short enough for PostgreSQL's socket, which pytest's directories are not.
    directory = Path(tempfile.mkdtemp(prefix="trailmatch-test-"))
    directory.chmod(0o755)  # where PostgreSQL has to run as another user, that one must get in
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


async def _tell_story(url: str) -> None:
    async with connect_pool(url) as pool:
        async with pool.acquire() as connection:
            await migrate(connection, report=lambda _: None)
        world = World(pool)
        await world.found()
        device_id, _ = await world.worn_device("W")
        await world.crime("C/1")
        await world.pings(device_id, *INSIDE)


async def _match(_url: str, world: World) -> None:
    await world.join()
    while await evaluate_due(world.pool, world.run_id):
        pass
    assert await world.alerts() == RAISED


def _work_until_killed(state_dir: Path, work: Work) -> None:
    """Run a server, do the work while nothing but a commit that waits for it reaches the disk, and kill all of it."""
    with running_postgres(state_dir) as server:
        asyncio.run(_with_world(server.url(), work, stop_writer=True))
        _kill(server)


async def _with_world(url: str, work: Work, *, stop_writer: bool = False) -> None:
    async with connect_pool(url, waits_for_disk=False) as pool:
        if stop_writer:
            writers = "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer')"
            for (pid,) in await pool.fetch(writers):
                os.kill(pid, signal.SIGSTOP)
        world = World(pool)
        world.run_id = await pool.fetchval("SELECT run_id FROM run")
        world.force_id = await pool.fetchval("SELECT organisation_id FROM organisation WHERE code = 'Kent'")
        await work(url, world)


async def _alerts(url: str) -> dict[tuple[str, str], tuple[str, int]]:
    async with connect_pool(url) as pool:
        return await World(pool).alerts()


def _kill(server: Server) -> None:
    assert server.process is not None
    everyone = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    for process in everyone:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(everyone[1:])
    server.process.wait()
