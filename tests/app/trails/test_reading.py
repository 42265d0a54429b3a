import numpy as np
import pytest

from app.trails.dropping import drop_day
from app.trails.store import Stretches, read_stretches
from tests.app.trails.conftest import DAY, NOON_US, Fix, TrailWorld, minutes

MINUTE_US = 60_000_000


@pytest.mark.parametrize("has_late", [False, True])
async def test_stretches_that_share_a_sealed_hour_each_get_their_part_of_it(
    world: TrailWorld, *, has_late: bool
) -> None:
    sent = minutes(1, NOON_US, 60)
    await world.send(*sent, Fix(2, NOON_US))
    await world.seal()
    assert await drop_day(world.pool, DAY)
    if has_late:
        # Of another device: the answer is put together in another way as soon as anything in it is late.
        await world.send(Fix(2, NOON_US + MINUTE_US))
    one, other = sorted(await world.ids())
    stretches = Stretches(
        np.array([one, one, other], np.int32),
        NOON_US + np.array([0, 30, 0]) * MINUTE_US,
        NOON_US + np.array([19, 49, 59]) * MINUTE_US,
    )
    async with world.pool.acquire() as connection, connection.transaction():
        trails = await read_stretches(connection, stretches)
    mine = slice(*trails.starts[:2].tolist())
    asked = [fix.at_us for fix in (*sent[:20], *sent[30:50])]
    assert trails.fixed_at_us[mine].tolist() == asked
    assert trails.fixed_at_us.size == len(asked) + 1 + has_late
