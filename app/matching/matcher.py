"""The matcher as it runs in a worker: loops over the stages, and their warm-up."""

import asyncio
import contextlib
import os
import platform
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from uuid import UUID, uuid4

import asyncpg
import structlog

from app import metrics
from app.alerts.dispatcher import dispatch
from app.db import Pool
from app.ending import end_if_cancelled
from app.matching.evaluate_stage import Turn, evaluate_due
from app.matching.giving_way import Pressing, give_way
from app.matching.join_stage import PINGS_A_CLAIM, join_arrivals, join_batches, join_rejoins
from app.matching.lease import LeaseLost
from app.matching.open_incidents import OpenIncidents
from app.pings.forgetting import forget_rejects
from app.prompt import be_prompt
from app.trails.keeping import KeepingRule, keep_trails
from app.trails.reading import warm_up_packing
from app.wake import Bell, Hints, listening
from matcher.evidence import ALGORITHM
from matcher.warm import warm_up

# Hints can be lost, so every loop also looks by itself.
POLL_S = 0.5
_PAUSE_AFTER_TROUBLE_S = 1.0
# Pairs weighed for the first time are taken up so few at a time that the next ones need not wait long for them.
_FIRST_A_CLAIM = 100
_AGAIN_A_CLAIM = 200
# While pings wait to be joined, weighing again takes one part in so many of the time: it is news of what is known. It
# begins when nothing is being joined or weighed for the first time, or after this long: half of the 16 ms that a new
# pair took was waiting for the interpreter and the processor.
_PART_AGAIN = 5
_PATIENCE_AGAIN_S = 0.1

log = structlog.get_logger("trailmatch.matcher")

INSERT_RUN = "INSERT INTO run (run_id, version, algorithm, host, process_id) VALUES ($1, $2, $3, $4, $5)"


class Matcher:
    """One execution of the matcher: its loops."""

    def __init__(self, pool: Pool, run_id: UUID, keeping: KeepingRule) -> None:
        self._pool = pool
        self._keeping = keeping
        self.run_id = run_id
        self.warm = asyncio.Event()  # its kernels are compiled
        self._arrivals = OpenIncidents()
        self._rejoins = OpenIncidents()
        self._batches = OpenIncidents()
        self._pings_a_claim = PINGS_A_CLAIM
        self._caught_up = asyncio.Event()  # no batch of pings waits to be joined
        self._pressing = Pressing()
        # Rings while bodies of pings wait to be stored; one for each loop that gives way to them.
        self._storing = self._storing_again = Bell()

    async def run(self, hints: Hints) -> None:
        """Work until cancelled."""
        await asyncio.to_thread(warm_up)
        await asyncio.to_thread(warm_up_packing)
        be_prompt()
        self.warm.set()
        with contextlib.ExitStack() as stack:
            self._storing = stack.enter_context(hints.bell("storing"))
            self._storing_again = stack.enter_context(hints.bell("storing"))
            async with asyncio.TaskGroup() as loops:
                for stage, topic, step in (
                    ("arrivals", "incidents", self._join_arrivals),
                    ("rejoins", "rejoin", self._join_rejoins),
                    ("batches", "pings", self._join_batches),
                    # Two, so that a pair whose past has to be read holds up no other.
                    ("evaluate", "due", self._evaluate),
                    ("evaluate", "due", self._evaluate),
                    ("again", "due", self._evaluate_again),
                    ("dispatch", "outbox", self._dispatch),
                ):
                    bell = stack.enter_context(hints.bell(topic))
                    loops.create_task(_repeat(stage, step, bell), name=f"matcher {stage}")
                loops.create_task(keep_trails(self._pool, self._keeping), name="matcher trails")
                loops.create_task(forget_rejects(self._pool), name="matcher rejects")

    async def _join_arrivals(self) -> int:
        return await join_arrivals(self._pool, self._arrivals)

    async def _join_rejoins(self) -> int:
        return await join_rejoins(self._pool, self._rejoins)

    async def _join_batches(self) -> int:
        # After trouble one batch at a time, so that one that cannot be joined does not hold up the others with it.
        started_s = time.monotonic()
        pings, self._pings_a_claim = self._pings_a_claim, 1
        with self._pressing.in_hand():
            joined = await join_batches(self._pool, self._batches, pings)
        self._pings_a_claim = PINGS_A_CLAIM
        if joined:
            self._caught_up.clear()
            await give_way(self._storing, time.monotonic() - started_s)
        else:
            self._caught_up.set()
        return joined

    async def _evaluate(self) -> int:
        with self._pressing.in_hand():
            return await evaluate_due(self._pool, self.run_id, _FIRST_A_CLAIM, Turn.FIRST)

    async def _evaluate_again(self) -> int:
        await self._pressing.wait_until_done(_PATIENCE_AGAIN_S)
        started_s = time.monotonic()
        evaluated = await evaluate_due(self._pool, self.run_id, _AGAIN_A_CLAIM, Turn.AGAIN)
        if evaluated:
            worked_s = time.monotonic() - started_s
            await give_way(self._storing_again, worked_s)
            pause_s = (_PART_AGAIN - 1) * worked_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._caught_up.wait(), pause_s)
        return evaluated

    async def _dispatch(self) -> int:
        return await dispatch(self._pool)


@contextlib.asynccontextmanager
async def running_matcher(pool: Pool, keeping: KeepingRule) -> AsyncIterator[Matcher]:
    """Run a matcher for the block; it warms up while the block has already begun."""
    matcher = Matcher(pool, uuid4(), keeping)
    await pool.execute(
        INSERT_RUN, matcher.run_id, version("trailmatch"), ALGORITHM, platform.node() or "unknown", os.getpid()
    )
    async with listening(pool) as hints:
        task = asyncio.create_task(matcher.run(hints), name="matcher")
        task.add_done_callback(_say_why_it_ended)
        try:
            yield matcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _repeat(stage: str, step: Callable[[], Awaitable[int]], bell: Bell) -> None:
    """Take step after step; when there is nothing to do, wait for the bell, when there is trouble, a while."""
    while True:
        end_if_cancelled()
        started = time.perf_counter()
        try:
            done = await step()
        except LeaseLost:
            log.warning("somebody else took the work", stage=stage)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # A deadlock, a restart, a lost connection: nothing was written, and the claim comes back when it runs out.
            log.warning("the database failed a stage", stage=stage, error=type(error).__name__)
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE_S)
        except Exception:
            log.exception("a stage failed", stage=stage)
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE_S)
        else:
            if done:
                metrics.MATCH_SECONDS.labels(stage).observe(time.perf_counter() - started)
            else:
                await bell.wait(POLL_S)


def _say_why_it_ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the matcher ended", error=repr(error))
