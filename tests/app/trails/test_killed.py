"""A sealing or a drop that is killed at any of its steps changes nothing that is read."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from app.trails.dropping import drop_day
from tests.app.trails.conftest import DAY, HOUR_US, NOON_US, Fix, TrailWorld, kept, minutes

Kill = Callable[[int], Awaitable[bool]]
moments = pytest.mark.parametrize("moment", ["before", "during"])


@asynccontextmanager
async def dying(url: str, task: str, moment: str) -> AsyncIterator[Kill]:
    """Give a function that does the task and kills it at its nth round trip; whether it came that far."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.app.trails.dying", url, task, str(DAY)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    answers = process.stdout

    async def kill(at: int) -> bool:
        assert process.stdin is not None
        process.stdin.write(f"{at} {moment}\n".encode())
        return await answers.readline() == b"killed\n"

    try:
        assert await answers.readline() == b"ready\n"
        yield kill
    finally:
        process.stdin.close()
        assert await process.wait() == 0


@moments
async def test_a_sealing_that_is_killed_loses_and_repeats_nothing(
    world: TrailWorld, database_url: str, moment: str
) -> None:
    sent = minutes(1, NOON_US, 120) + minutes(2, NOON_US, 120)
    await world.send(*sent)
    sealed_before_the_end = set()
    async with dying(database_url, "seal", moment) as kill:
        for step in count(1):
            await world.pool.execute("DELETE FROM trail_chunk")
            await world.pool.execute(
                "INSERT INTO dirty_hour SELECT DISTINCT device_id, date_bin('1 hour', fixed_at, 'epoch') FROM ping "
                "ON CONFLICT DO NOTHING"
            )
            was_killed = await kill(step)
            assert sorted(await world.read()) == sent
            # Sealed is an hour together with its mark's end.
            assert await world.count("trail_chunk") + await world.count("dirty_hour") == 4
            if not was_killed:
                break
            sealed_before_the_end.add(await world.count("trail_chunk"))
    assert step > 15
    assert sealed_before_the_end >= {0, 3, 4}
    assert await world.seal() == 0


@moments
async def test_late_pings_whose_sealing_is_killed_are_neither_lost_nor_repeated(
    world: TrailWorld, database_url: str, moment: str
) -> None:
    sent = minutes(1, NOON_US, 120)
    await world.send(*sent)
    await world.seal()
    assert await drop_day(world.pool, DAY)
    async with dying(database_url, "seal", moment) as kill:
        for step in count(1):
            late = [Fix(1, NOON_US + step), Fix(1, NOON_US - step * HOUR_US // 20), sent[step]._replace(accuracy_cm=1)]
            await world.send(*late)
            sent += late
            was_killed = await kill(step)
            assert await world.read() == kept(sent)
            if not was_killed:
                break
    assert step > 10
    assert await world.count("ping_late") == 0


@moments
async def test_a_day_whose_drop_is_killed_is_there_or_gone_and_read_the_same(
    world: TrailWorld, database_url: str, moment: str
) -> None:
    sent = minutes(1, NOON_US, 120) + minutes(2, NOON_US, 120)
    await world.send(*sent)
    await world.seal()
    async with dying(database_url, "drop", moment) as kill:
        for step in count(1):
            was_killed = await kill(step)
            assert await world.read() == sent
            rows, dropped = await world.count("ping"), await world.count("sealed_day WHERE dropped_at IS NOT NULL")
            assert (rows, dropped) in {(240, 0), (0, 1)}
            if not was_killed:
                break
    assert step > 50
    receipt = await world.send(sent[0], Fix(1, NOON_US + 1))
    assert (receipt.accepted, receipt.duplicates) == (1, 1)
