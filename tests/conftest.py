"""What tests stand on: a real PostgreSQL, a fresh migrated database for each test that asks, and the real data."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import settings

from app.db import Connection, Pool, connect, connect_pool
from app.migrate import migrate
from app.postgres import running_postgres

# A shell's background job ignores Ctrl-C, and so would everything that tests start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The first call of a kernel compiles it, which is longer than any deadline that would mean something.
settings.register_profile("trailmatch", deadline=None)
settings.load_profile("trailmatch")

_numbers = count(1)
_PREFIX = "trailmatch-tests-"
# What a server of tests has been seen to take is a tenth of this; with several test processes each has its own.
_ROOM_BYTES = 4_000_000_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together in one process, where there are several, the tests that share something costly."""
    for item in items:
        if isinstance(item, pytest.Function):
            for definitions in item._fixtureinfo.name2fixturedefs.values():
                shared = definitions[-1]
                if shared.scope in {"module", "package"}:
                    item.add_marker(pytest.mark.xdist_group(shared.baseid))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Show a failure when it happens: of a run that is cut off, the summary at the end never comes."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\n{report.nodeid} failed in its {report.when}:\n{report.longreprtext}\n")
        sys.stdout.flush()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server on which tests may create databases: `DATABASE_URL` if it is set, else one of our own."""
    if os.environ.get("DATABASE_URL"):
        yield os.environ["DATABASE_URL"]
        return
    # Not pytest's directory: its path is too long for a socket.
    place = _place_for_databases()
    _clear_away_killed(place)
    state_dir = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    state_dir.chmod(0o755)  # where PostgreSQL has to run as another user, that one must get in
    try:
        with running_postgres(state_dir) as server:
            asyncio.run(_trade_safety_for_speed(server.url()))
            yield server.url()
    finally:
        shutil.rmtree(state_dir)


def _place_for_databases() -> Path:
    """A file system in memory where there is one with room: on a disk, a copied database takes four times as long."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_BYTES
    return memory if has_room else Path(tempfile.gettempdir())


def _clear_away_killed(place: Path) -> None:
    """Remove what runs that were killed have left: a directory whose owner's lock nobody holds any more."""
    for owner in place.glob(f"{_PREFIX}*/postgres.owner"):
        with contextlib.suppress(OSError), owner.open() as lock:
            is_new = time.time() - owner.stat().st_mtime < 60  # and perhaps about to be locked
            if not is_new:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(owner.parent)


async def _trade_safety_for_speed(url: str) -> None:
    """Leave out what protects from a power cut: no test has one, and databases are made three times as fast."""
    async with connect(url) as admin:
        for setting in ("fsync", "full_page_writes"):
            await admin.execute(f"ALTER SYSTEM SET {setting} = off")
        await admin.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
async def template_database(server_url: str) -> AsyncIterator[str]:
    """The name of a migrated database from which the others are copied."""
    name = f"trailmatch_test_{uuid4().hex[:12]}"
    async with connect(server_url) as admin:
        await admin.execute(f"CREATE DATABASE {name}")
        try:
            async with connect(with_database(server_url, name)) as connection:
                await migrate(connection, report=lambda _: None)
            yield name
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(server_url: str, template_database: str) -> AsyncIterator[str]:
    """A database of this test's own, with the schema and nothing in it."""
    async for url in _throw_away_database(
        server_url, f"TEMPLATE {template_database} STRATEGY FILE_COPY", template_database
    ):
        yield url


@pytest.fixture
async def empty_database_url(server_url: str, template_database: str) -> AsyncIterator[str]:
    """A database of this test's own, without a schema."""
    async for url in _throw_away_database(server_url, "", template_database):
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with connect_pool(database_url) as pool:
        yield pool


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection:
        yield connection


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory of the real trails and crimes; tests that need it are skipped without it."""
    directory = os.environ.get("TRAILMATCH_DATA")
    if not directory:
        pytest.skip("set TRAILMATCH_DATA to the directory with sf2008_pings.parquet and its fellows")
    return Path(directory)


def with_database(url: str, database: str) -> str:
    """The address of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def _throw_away_database(server_url: str, source: str, prefix: str) -> AsyncIterator[str]:
    name = f"{prefix}_{next(_numbers)}"
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute(f"CREATE DATABASE {name} {source}")
        yield with_database(server_url, name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()
