"""Whose turn it is, and that what somebody works on stays theirs for as long as they live."""

import asyncio
from uuid import uuid4

import pytest

from app.matching import evaluate_stage, join_stage, lease
from app.matching.evaluate_stage import evaluate_due
from app.matching.lease import renewed
from tests.app.matching.world import INSIDE, NOON, World

INSERT_REJOIN = "INSERT INTO rejoin (device_id, from_at, to_at) VALUES ($1, $2, $2)"
INSERT_DUE = """
INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at)
SELECT incident_id, $1, 1, $2, $2 FROM incident
"""
# Of two rows one is claimed by us and one by somebody else, both up to this moment.
CLAIM = """
WITH numbered AS (SELECT ctid, row_number() OVER () AS n FROM {table})
UPDATE {table} SET claim_token = CASE n WHEN 1 THEN $1::uuid ELSE $2::uuid END, claimed_until = now()
FROM numbered WHERE {table}.ctid = numbered.ctid
"""
IS_RENEWED = "SELECT claimed_until > now() FROM {table} WHERE claim_token = $1"


@pytest.mark.parametrize(
    ("table", "renew"),
    [
        ("ping_batch", join_stage.RENEW_BATCHES),
        ("arrival", join_stage.RENEW_ARRIVALS),
        ("rejoin", join_stage.RENEW_REJOINS),
        ("due", evaluate_stage.RENEW),
    ],
)
async def test_what_somebody_has_claimed_is_renewed_while_they_live_and_nothing_else_is(
    world: World, monkeypatch: pytest.MonkeyPatch, table: str, renew: str
) -> None:
    device, wearer = await world.worn_device("W1")
    for number in range(2):
        await world.crime(f"C{number}")
        await world.pings(device, INSIDE[number])
        await world.pool.execute(INSERT_REJOIN, device, NOON)
    await world.pool.execute(INSERT_DUE, wearer, NOON)
    mine, other = uuid4(), uuid4()
    await world.pool.execute(CLAIM.format(table=table), mine, other)
    monkeypatch.setattr(lease, "_RENEWALS", 300)
    tasks = asyncio.all_tasks()
    async with renewed(world.pool, renew, mine), asyncio.timeout(30):
        # Only the database knows.
        while not await world.pool.fetchval(IS_RENEWED.format(table=table), mine):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)
    assert await world.pool.fetchval(IS_RENEWED.format(table=table), other) is False
    assert asyncio.all_tasks() == tasks


async def test_the_pair_that_has_waited_longest_is_weighed_first_however_often_it_was_touched(world: World) -> None:
    for reference in ("W1", "W2", "W3"):
        device, _ = await world.worn_device(reference)
        await world.pings(device, *INSIDE)
    await world.crime("C1")
    await world.join()
    # The second has waited longest, and has the highest generation.
    order = {"W1": (2, 1), "W2": (3, 9), "W3": (1, 2)}
    for reference, (minutes, generation) in order.items():
        await world.pool.execute(
            "UPDATE due SET due_at = now() - $2 * interval '1 minute', generation = $3 "
            "WHERE wearer_id = (SELECT wearer_id FROM wearer WHERE reference = $1)",
            reference,
            minutes,
            generation,
        )
    weighed = []
    for _ in order:
        assert await evaluate_due(world.pool, world.run_id, limit=1) == 1
        weighed.append({wearer for _, wearer in await world.matches()})
    assert weighed == [{"W2"}, {"W1", "W2"}, {"W1", "W2", "W3"}]
