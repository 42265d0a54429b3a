"""Deliveries as they run beside the matcher in a worker: loops over the steps."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

import asyncpg
import structlog

from app.db import Pool
from app.delivery.escalation import escalate
from app.delivery.forgetting import forget_deliveries_before
from app.delivery.mailing import send_mails
from app.delivery.outside import Outside
from app.delivery.routing import route
from app.delivery.webhooks import Claimed, claim_endpoint, send_some
from app.ending import end_if_cancelled
from app.matching.lease import LeaseLost
from app.wake import Bell, Hints

# Hints can be lost, and pauses end without one.
POLL_S: Final = 1.0
# Of several endpoints that hang, each holds a place for the time of an attempt, and then waits ever longer.
ENDPOINTS_AT_ONCE: Final = 16
CONNECTIONS: Final = 5  # none is held while something is being sent
_PAUSE_AFTER_TROUBLE_S: Final = 1.0
_FORGET_EVERY_S: Final = 3_600.0

log = structlog.get_logger("trailmatch.delivery")


@contextlib.asynccontextmanager
async def running_deliveries(pool: Pool, hints: Hints, outside: Outside) -> AsyncIterator[None]:
    """Route, escalate and send for the block. What is being sent when it ends is sent again by whoever comes next."""
    task = asyncio.create_task(_run(pool, hints, outside), name="deliveries")
    task.add_done_callback(_say_why_it_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(pool: Pool, hints: Hints, outside: Outside) -> None:
    async def route_some() -> bool:
        return await route(pool, outside.clock()) > 0

    async def escalate_some() -> bool:
        return await escalate(pool, outside.clock()) > 0

    async def mail_some() -> bool:
        return await send_mails(pool, outside) > 0

    with contextlib.ExitStack() as stack:
        async with asyncio.TaskGroup() as loops:
            for step, topic in ((route_some, "stream"), (escalate_some, "stream"), (mail_some, "delivery")):
                bell = stack.enter_context(hints.bell(topic))
                loops.create_task(_repeat(step, bell), name=step.__name__)
            bell = stack.enter_context(hints.bell("delivery"))
            loops.create_task(_send_webhooks(pool, outside, bell), name="webhooks")
            loops.create_task(_forget(pool, outside), name="forgetting")


async def _send_webhooks(pool: Pool, outside: Outside, bell: Bell) -> None:
    """Give each endpoint that has something due its turn; a slow one holds one of the places and nobody else."""
    places = asyncio.Semaphore(ENDPOINTS_AT_ONCE)

    async def take_turn(claimed: Claimed) -> None:
        try:
            with _trouble("webhooks"):
                await send_some(pool, outside, claimed)
        finally:
            places.release()
            bell.ringing.set()  # more may be due

    async def start_turn() -> bool:
        await places.acquire()
        claimed = None
        try:
            claimed = await claim_endpoint(pool, outside.clock())
        finally:
            if claimed is None:
                places.release()
        if claimed is not None:
            turns.create_task(take_turn(claimed), name="webhooks to an endpoint")
        return claimed is not None

    async with asyncio.TaskGroup() as turns:
        await _repeat(start_turn, bell)


async def _forget(pool: Pool, outside: Outside) -> None:
    """Forget every hour what is too old; whatever fails is tried again the next hour."""
    while True:
        with _trouble("forgetting"):
            if forgotten := await forget_deliveries_before(pool, outside.clock() - outside.keep_log):
                log.info("old deliveries were forgotten", deliveries=forgotten)
        end_if_cancelled()
        await asyncio.sleep(_FORGET_EVERY_S)


async def _repeat(step: Callable[[], Awaitable[bool]], bell: Bell) -> None:
    """Take step after step; when there is nothing to do, wait for the bell, when there is trouble, a while."""
    while True:
        end_if_cancelled()
        has_worked, is_well = False, False
        with _trouble(step.__name__):
            has_worked, is_well = await step(), True
        if not is_well:
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE_S)
        elif not has_worked:
            await bell.wait(POLL_S)


@contextlib.contextmanager
def _trouble(what: str) -> Iterator[None]:
    """Log what goes wrong; whatever was claimed is free again when its lease ends, and nothing is lost."""
    try:
        yield
    except LeaseLost:
        log.warning("somebody else took the work", what=what)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        log.warning("the database failed a delivery", what=what, error=type(error).__name__)
    except Exception:
        log.exception("a delivery failed", what=what)


def _say_why_it_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("deliveries ended", error=repr(error))
