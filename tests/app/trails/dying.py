"""A process that does the store's work and is killed at one of its round trips to the database.

`python -m tests.app.trails.dying URL TASK DAY`: for each line on stdin, "N before" or "N during", a fork of it does the
task and gets SIGKILL before its Nth round trip, or while that is under way; the answer is "killed", or "done" if there
are fewer than N. Not in the process of the tests, because a process with threads must not be forked.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import asyncpg

from app.db import Pool, connect_pool
from app.trails.dropping import drop_day
from app.trails.reading import warm_up_packing
from app.trails.sealing import DayIsBusy, seal_some

ROUND_TRIPS = ("execute", "fetch", "fetchrow", "fetchval", "copy_from_query")
CLOSED = datetime(2030, 1, 1, tzinfo=UTC)
HOURS = 3


async def seal(pool: Pool, day: int) -> None:
    while True:
        try:
            if not (await seal_some(pool, day, CLOSED, HOURS)).hours:
                return
        except DayIsBusy:  # the one that was killed before still holds its lock
            continue


async def drop(pool: Pool, day: int) -> None:
    await drop_day(pool, day)


async def work(url: str, task: str, day: int, at: int, moment: str) -> None:
    async with connect_pool(url) as pool:
        die_at(at, moment)
        await {"seal": seal, "drop": drop}[task](pool, day)


def die_at(at: int, moment: str) -> None:
    """Have every round trip of every connection counted."""
    count = 0

    def counted(method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def run(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count == at:
                if moment == "during":
                    under_way = asyncio.ensure_future(method(*args, **kwargs))
                    await asyncio.sleep(0.001)
                    assert under_way is not None
                os.kill(os.getpid(), signal.SIGKILL)
            return await method(*args, **kwargs)

        return run

    for name in ROUND_TRIPS:
        setattr(asyncpg.Connection, name, counted(getattr(asyncpg.Connection, name)))


def main(url: str, task: str, day: str) -> None:
    warm_up_packing()
    print("ready", flush=True)
    for line in sys.stdin:
        at, moment = line.split()
        child = os.fork()
        if child == 0:
            asyncio.run(work(url, task, int(day), int(at), moment))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            print("killed", flush=True)
        else:
            assert status == 0
            print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
