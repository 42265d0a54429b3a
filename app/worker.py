"""A matcher and deliveries in a process of their own: `trailmatch worker`, as many as there is work for."""

import asyncio
import signal
import socket

import structlog
from prometheus_client import generate_latest

from app import metrics
from app.beside import answer_service
from app.db import connect_pool
from app.delivery.outside import Outside
from app.delivery.running import CONNECTIONS, running_deliveries
from app.matching.matcher import running_matcher
from app.migrate import refuse_unless_migrated
from app.trails.keeping import KeepingRule
from app.wake import listening

log = structlog.get_logger("trailmatch.worker")


async def work(database_url: str, keeping: KeepingRule, outside: Outside, service: socket.socket | None) -> None:
    """Match and deliver until SIGTERM or SIGINT, or until the service beside which we run has ended.

    Raises Failure if the database is away or not migrated.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with connect_pool(database_url, waits_for_disk=False) as pool:
        async with pool.acquire() as connection:
            await refuse_unless_migrated(connection)
        async with (
            running_matcher(pool, keeping) as matcher,
            connect_pool(database_url, CONNECTIONS) as deliveries,
            listening(deliveries) as hints,
            running_deliveries(deliveries, hints, outside),
        ):
            log.info("matching", run_id=str(matcher.run_id))
            if service is not None:
                answering = asyncio.create_task(answer_service(service, matcher.warm, _measure), name="the service")
                answering.add_done_callback(lambda _: ended.set())
            await ended.wait()


def _measure() -> bytes:
    return generate_latest(metrics.OF_WORKERS)
