"""What a person at a terminal sees while trails are sealed."""

from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.db import Pool
from app.trails.dropping import drop_day, find_old_days
from app.trails.keeping import KeepingRule, seal_closed
from app.trails.sealing import Sealed
from app.trails.standing import read_standing


class Done(NamedTuple):
    """What was done to the trails."""

    hours: int
    pings: int
    dropped_days: int
    is_complete: bool  # no closed hour is left unsealed


async def seal_with_progress(pool: Pool, rule: KeepingRule, *, drop: bool) -> Done:
    """Seal every closed hour and drop every old day, telling of it on standard error."""
    terminal = Console(stderr=True, highlight=False)
    columns = TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn()
    now = datetime.now(UTC)
    hours = pings = 0
    with Progress(*columns, console=terminal, disable=not terminal.is_terminal) as progress:
        async with pool.acquire() as connection:
            waiting = (await read_standing(connection, rule.closed_before(now))).waiting_hours
        task = progress.add_task("hours sealed", total=waiting)

        def report(sealed: Sealed) -> bool:
            nonlocal hours, pings
            hours, pings = hours + sealed.hours, pings + sealed.pings
            progress.update(task, completed=hours)
            return True

        is_complete = await seal_closed(pool, rule.closed_before(now), report)
        dropped = await _drop(pool, rule, now, progress) if drop else 0
    return Done(hours, pings, dropped, is_complete)


async def _drop(pool: Pool, rule: KeepingRule, now: datetime, progress: Progress) -> int:
    async with pool.acquire() as connection:
        old = await find_old_days(connection, now, rule.hot_days)
    task, dropped = progress.add_task("days dropped", total=len(old)), 0
    for day in old:
        dropped += await drop_day(pool, day)
        progress.update(task, completed=dropped)
    return dropped
