"""Processes that run a server, or attach to one, until they are let go or killed; and what runs meanwhile."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil

# Says where the server is, then holds it until its input ends.
HOLD = """
import sys
from pathlib import Path
from app.postgres import running_postgres

with running_postgres(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    sys.stdin.read()
"""

# Processes that this test has started.
HOLDERS: "list[subprocess.Popen[str]]" = []


def hold(state_dir: Path, **environment: str) -> "subprocess.Popen[str]":
    """A process that runs the server, or attaches to it, until it is let go or killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
    )
    HOLDERS.append(holder)
    return holder


def url_of(holder: "subprocess.Popen[str]") -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def let_go(holder: "subprocess.Popen[str]") -> int:
    assert holder.stdin is not None
    holder.stdin.close()
    holder.wait()
    return holder.returncode


def servers_in(state_dir: Path) -> list[psutil.Process]:
    """The postmasters that run on this state directory, but not their forks that look like them for a moment."""
    found = {}
    for process in psutil.process_iter(["cmdline", "name", "ppid"]):
        command = process.info["cmdline"] or []  # none, if it has ended and nobody has reaped it
        if process.info["name"] == "postgres" and str(state_dir / "postgres") in command:
            found[process.pid] = process
    return [process for process in found.values() if process.info["ppid"] not in found]


def run(url: str, *statements: str) -> object:
    """Run statements; the first column of the last one's first row."""

    async def on_one_connection() -> object:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(on_one_connection())


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
