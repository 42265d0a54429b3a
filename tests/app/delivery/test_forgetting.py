"""What was delivered is forgotten in time, and what waits is not."""

import ssl
from datetime import timedelta

import asyncpg
import pytest

from app.delivery.forgetting import forget_deliveries_before
from app.delivery.running import running_deliveries
from app.wake import Hints
from tests.app.delivery.conftest import Clock, Town
from tests.app.delivery.receivers import answer, receiving
from tests.app.delivery.test_mailing import Inbox, mail_all, relay, relaying
from tests.app.delivery.test_routing import account

COUNTS = """
SELECT (SELECT count(*) FROM delivery), (SELECT count(*) FROM attempt), (SELECT count(*) FROM notice)
"""


async def counts(town: Town) -> tuple[int, ...]:
    row = await town.pool.fetchrow(COUNTS)
    assert row is not None
    return tuple(row)


async def test_what_was_settled_long_ago_goes_with_all_that_belongs_to_it_and_what_waits_stays(
    town: Town, clock: Clock, trusting: ssl.SSLContext
) -> None:
    inbox = Inbox()
    await account(town, "hub", "hub_manager")
    silent = await account(town, "silent", "hub_manager")
    await town.call("PUT", f"/v1/accounts/{silent}/preference", {"by_email": False})
    async with relaying(inbox) as port, receiving() as well, receiving(answer(500)) as ill:
        town.outside = town.outside._replace(relay=relay(port, trusting))
        await town.endpoint(well.url())
        await town.endpoint(ill.url())
        await town.raise_alerts("C1")
        await mail_all(town)
        await town.deliver()
        assert await counts(town) == (3, 3, 2)
        clock.forward(days=1)
        await town.raise_alerts("C2")
        await town.deliver()
        # On the second day nothing of the first is too old; on the third the webhook and the mail of the first are.
        assert await forget_deliveries_before(town.pool, clock() - timedelta(days=1, hours=1)) == 0
        assert await forget_deliveries_before(town.pool, clock() - timedelta(hours=1), at_once=1) == 2
        waiting = await town.deliveries(state="waiting")
        assert {delivery["attempts"] for delivery in waiting} == {0, 2}
        assert await counts(town) == (3, 3, 2)
        ill.behave = answer(204)
        clock.forward(days=1)
        assert await town.deliver() == 2
        assert len(inbox.mails) == 1


async def test_it_is_done_by_whoever_delivers_and_by_nobody_else(town: Town, clock: Clock) -> None:
    async with receiving() as receiver:
        await town.endpoint(receiver.url())
        await town.raise_alerts("C1")
        await town.deliver()
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await town.pool.execute("DELETE FROM attempt")
        clock.forward(days=31)
        brief = town.outside._replace(keep_log=timedelta(days=30))
        async with running_deliveries(town.pool, Hints(), brief):
            while await counts(town) != (0, 0, 0):
                pass
    [placed] = await town.placed()
    assert placed == receiver.requests[0].event["id"]  # the stream keeps what happened
