"""Databases that a run disturbs: an embedded PostgreSQL that can be killed, or a server whose connections are cut."""

import asyncio
import contextlib
import os
from pathlib import Path
from random import Random
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

from app.db import connect
from app.failure import Failure
from app.postgres import running_postgres
from app.postgres.server import Server

DISTURBED: Final = "disturbed"

Trouble = Literal["killed", "a backend killed", "restarted", "cut"]


class Embedded:
    """A PostgreSQL of our own, as long as the thread that made it lives."""

    troubles: tuple[Trouble, ...] = ("killed", "a backend killed", "restarted", "cut", "cut")

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._stack = contextlib.ExitStack()
        self._server: Server = self._start()

    def _start(self) -> Server:
        return self._stack.enter_context(running_postgres(self._state_dir))

    def create(self, name: str) -> str:
        """Make a database; gives its address."""
        asyncio.run(_create(self._server.url(), name))
        return self._server.url(name)

    @property
    def _processes(self) -> list[psutil.Process]:
        """The server and those it started."""
        pid = int((self._state_dir / "postgres" / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        return [server, *server.children()]

    def kill(self) -> None:
        """End all of it at once, and start it again."""
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.restart()

    def restart(self) -> None:
        """Shut it down, breaking off whatever it does, and start it again."""
        self._stack.close()
        self._server = self._start()

    def kill_a_backend(self, draw: Random) -> bool:
        """Kill one that serves a connection; the server then ends all others and recovers. False if there is none."""
        backends = [process for process in self._processes[1:] if _serves(process)]
        if not backends:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            draw.choice(backends).kill()
            return True
        return False

    def cut(self) -> int:
        """Cut connections in mid-transaction; gives how many."""
        return asyncio.run(_cut(self._server.url(DISTURBED)))

    def stop(self) -> None:
        """Shut it down; its files go with the state directory."""
        self._stack.close()


def _serves(process: psutil.Process) -> bool:
    try:
        return f" {DISTURBED} " in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has just ended
        return False


class Served:
    """Databases of this run on a server that is not ours: it goes on running, and they are dropped at the end."""

    troubles: tuple[Trouble, ...] = ("cut",)

    def __init__(self, url: str) -> None:
        self._url = url
        self._names = list[str]()

    def _named(self, name: str) -> str:
        return f"trailmatch_chaos_{os.getpid()}_{name}"

    def _address(self, name: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{self._named(name)}"))

    def create(self, name: str) -> str:
        """Make a database; gives its address."""
        asyncio.run(_create(self._url, self._named(name)))
        self._names.append(name)
        return self._address(name)

    def cut(self) -> int:
        """Cut connections in mid-transaction; gives how many."""
        return asyncio.run(_cut(self._address(DISTURBED)))

    def stop(self) -> None:
        """Drop what was made."""
        asyncio.run(_drop(self._url, [self._named(name) for name in self._names]))


async def _create(url: str, name: str) -> None:
    async with connect(url) as connection:
        await connection.execute(f"CREATE DATABASE {name}")


async def _drop(url: str, names: list[str]) -> None:
    async with connect(url) as connection:
        for name in names:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


# Whatever is in a transaction now.
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
"""


async def _cut(url: str) -> int:
    """Cut some connections in mid-transaction; 0 if the database is just recovering."""
    try:
        async with connect(url) as connection:
            return int(await connection.fetchval(CUT))
    except (OSError, Failure, asyncpg.PostgresError, asyncpg.InterfaceError):
        return 0
