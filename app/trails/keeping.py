"""What is done with stored trails as time passes: hours are sealed once they are over, old days dropped."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import structlog

from app.db import Pool
from app.ending import end_if_cancelled
from app.settings import Settings
from app.trails.dropping import drop_day, find_old_days
from app.trails.sealing import DayIsBusy, Sealed, find_day, seal_some

log = structlog.get_logger("trailmatch.trails")

EVERY_S: Final = 60.0
# Of each minute at most so much, so that what was left undone for months does not keep ingest waiting for hours.
WORK_S: Final = 20.0
_ATTEMPTS: Final = 20


class KeepingRule(NamedTuple):
    """When an hour is sealed, and for how long rows are kept."""

    closed_after: timedelta = timedelta(hours=2)  # after the hour's end; most pings have come by then
    hot_days: int = 14
    # An old day that is being loaded just now is cheaper to store as rows than as late pings.
    quiet_for: timedelta = timedelta(hours=1)

    def closed_before(self, now: datetime) -> datetime:
        """The instant before which an hour has to have ended."""
        return now - self.closed_after


def keeping_rule(settings: Settings) -> KeepingRule:
    """The rule that the settings ask for."""
    return KeepingRule(timedelta(hours=settings.seal_after_hours), settings.hot_days)


async def keep_trails(pool: Pool, rule: KeepingRule) -> None:
    """Seal and drop every minute, until cancelled; whatever fails is tried again the next minute."""
    while True:
        try:
            await keep_once(pool, rule, datetime.now(UTC))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("the database failed the trails' keeping", error=type(error).__name__)
        except Exception:
            log.exception("the trails' keeping failed")
        end_if_cancelled()
        await asyncio.sleep(EVERY_S)


async def keep_once(pool: Pool, rule: KeepingRule, now: datetime, work_s: float = WORK_S) -> None:
    """Seal closed hours for about so long, then drop one old day."""
    deadline = time.monotonic() + work_s
    await seal_closed(pool, rule.closed_before(now), lambda _: time.monotonic() < deadline)
    async with pool.acquire() as connection:
        old = await find_old_days(connection, now, rule.hot_days, rule.quiet_for)
    for day in old[:1]:
        if await drop_day(pool, day):
            log.info("the rows of a day were dropped; its chunks hold them", day=day)


async def seal_closed(pool: Pool, closed_before: datetime, go_on: Callable[[Sealed], bool]) -> bool:
    """Seal all hours that ended before an instant, day by day, while `go_on`, which hears of each transaction, says so.

    Returns whether nothing is left; a day that is busy for seconds is left for another time.
    """
    is_done, day = True, -1
    while (found := await _next_day(pool, closed_before, day)) is not None:
        day, busy = found, 0
        while busy < _ATTEMPTS:
            try:
                sealed = await seal_some(pool, day, closed_before)
            except DayIsBusy:
                busy += 1
                continue
            if not sealed.hours:
                break
            if not go_on(sealed):
                return False
        is_done = is_done and busy < _ATTEMPTS
    return is_done


async def _next_day(pool: Pool, closed_before: datetime, after_day: int) -> int | None:
    async with pool.acquire() as connection:
        return await find_day(connection, closed_before, after_day)
