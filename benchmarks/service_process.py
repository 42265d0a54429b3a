"""A service with a database of its own, that can be killed and started again."""

import asyncio
import contextlib
import fcntl
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from app.db import connect
from app.failure import Failure
from app.matching.profiles import publish_profile
from app.migrate import migrate
from app.postgres import running_postgres
from app.running import HOST, Service
from benchmarks.parties import Keys, found_parties
from matcher.profile import Profile


@contextlib.contextmanager
def own_state_dir() -> Iterator[Path]:
    """Give an empty directory for a service's database; it is removed after the block."""
    # Its path is short enough for PostgreSQL's socket, which pytest's directories are not.
    state_dir = Path(tempfile.mkdtemp(prefix="trailmatch-", dir="/tmp"))
    state_dir.chmod(0o755)  # where PostgreSQL has to run as another user, that one must get in
    try:
        yield state_dir
    finally:
        _wait_until_postgres_is_gone(state_dir)
        shutil.rmtree(state_dir)


def _wait_until_postgres_is_gone(state_dir: Path) -> None:
    """Wait for the server of a service that was killed: it is shutting down, and holds a lock as long as it lives."""
    with (state_dir / "postgres.server").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def prepare(state_dir: Path, *profiles: Profile) -> Keys:
    """Make the embedded database in an empty state directory: schema, profiles, a contractor and a force."""
    with running_postgres(state_dir) as server:
        return asyncio.run(prepare_database(server.url(), *profiles))


async def prepare_database(url: str, *profiles: Profile) -> Keys:
    """Do the same with a database that is running."""
    async with connect(url) as connection:
        await migrate(connection, report=lambda _: None)
        for profile in profiles:
            await publish_profile(connection, profile)
        return await found_parties(connection)


@contextlib.contextmanager
def serving(state_dir: Path, key: str, database_url: str = "", port: int = 0) -> Iterator[Service]:
    """Serve for the block, on a free port unless one is given; without an address from the embedded database."""
    service = Service(state_dir, port or free_port(), database_url=database_url)
    try:
        service.wait_until_ready(key)
        yield service
    except Failure as failure:
        # Its log goes with its directory.
        raise Failure(f"{failure}\nThe service's last words:\n{service.last_words()}") from None
    finally:
        service.stop()


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
