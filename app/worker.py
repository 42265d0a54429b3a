"""A matcher in a process of its own: `trailmatch worker`, as many as there is work for."""

import asyncio
import signal

import structlog

from app.db import connect_pool
from app.matching.matcher import running_matcher
from app.migrate import refuse_unless_migrated
from app.trails.keeping import KeepingRule

log = structlog.get_logger("trailmatch.worker")


async def work(database_url: str, keeping: KeepingRule) -> None:
    """Match until SIGTERM or SIGINT. Raises Failure if the database is away or not migrated."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with connect_pool(database_url) as pool:
        async with pool.acquire() as connection:
            await refuse_unless_migrated(connection)
        async with running_matcher(pool, keeping) as matcher:
            log.info("matching", run_id=str(matcher.run_id))
            await ended.wait()
