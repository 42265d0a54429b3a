"""Joining rests while bodies of pings wait to be stored, and only then."""

import asyncio

from app.matching.giving_way import give_way
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
