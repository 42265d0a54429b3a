"""Joining rests while bodies of pings wait to be stored, weighing again while what is new is worked on; only then."""

import asyncio

from app.matching.giving_way import Pressing, give_way
from app.wake import Hints

LONG_S = 1_000.0


async def test_who_has_heard_of_nobody_that_waits_does_not_rest() -> None:
    with Hints().bell("storing") as storing:
        async with asyncio.timeout(10):
            await give_way(storing, LONG_S, is_good_for_s=LONG_S)


async def test_who_hears_that_bodies_wait_rests_until_no_hint_comes_any_more() -> None:
    hints = Hints()
    with hints.bell("storing") as storing:
        hints.give("storing")
        rest = asyncio.create_task(give_way(storing, LONG_S, is_good_for_s=0.2))
        for _ in range(5):
            await asyncio.sleep(0.01)
            hints.give("storing")
            assert not rest.done()
        async with asyncio.timeout(10):
            await rest


async def test_a_rest_is_as_long_as_the_work_was_however_long_bodies_wait() -> None:
    hints = Hints()
    with hints.bell("storing") as storing:
        hints.give("storing")
        async with asyncio.timeout(10):
            await give_way(storing, 0.001, is_good_for_s=LONG_S)


async def test_who_has_time_begins_when_the_last_of_what_presses_is_done() -> None:
    pressing = Pressing()
    with pressing.in_hand():
        with pressing.in_hand():
            waiting = asyncio.create_task(pressing.wait_until_done(LONG_S))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert not waiting.done()
    async with asyncio.timeout(10):
        await waiting
        await pressing.wait_until_done(LONG_S)  # nothing presses


async def test_who_has_time_has_a_turn_however_long_something_presses() -> None:
    pressing = Pressing()
    with pressing.in_hand():
        async with asyncio.timeout(10):
            await pressing.wait_until_done(0.001)
