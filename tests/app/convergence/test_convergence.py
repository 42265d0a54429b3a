"""The final state is a function of what was said, not of when, in what pieces and by how many matchers it was taken in.

`TRAILMATCH_CONVERGENCE=500` looks at so many histories, `TRAILMATCH_CONVERGENCE_FIRST=417` begins with that one; with
`-s` it is said what they held.
"""

import json
import os
from collections import Counter
from random import Random

from app.db import connect_pool
from tests.app.convergence.deliveries import in_disorder, in_order
from tests.app.convergence.histories import History, draw_history
from tests.app.convergence.town import Matcher, Town, founded, slow_round_trips

HISTORIES = int(os.environ.get("TRAILMATCH_CONVERGENCE", "10"))
FIRST = int(os.environ.get("TRAILMATCH_CONVERGENCE_FIRST", "0"))
# Of one person's two tags the fixes of one instant stood in the order in which the tags had first been heard of.
FOUND = (2059,)


async def test_every_order_split_and_number_of_matchers_ends_in_the_state_of_the_in_order_one(
    database_url: str,
) -> None:
    seen = Counter[str]()
    async with connect_pool(database_url, max_size=24) as pool, founded(pool) as town:
        for seed in (*FOUND, *range(FIRST, FIRST + HISTORIES)):
            history = draw_history(Random(seed))
            expected = await straight(town, history)
            found = json.loads(expected)
            seen["histories"] += 1
            seen["with a match"] += bool(found["matches"])
            seen["with an alert"] += bool(found["alerts"])
            seen["with a licence weighed"] += any(m["evidence"]["on_licence"] is not None for m in found["matches"])
            for attempt, matchers in enumerate((1, 1, 2 + seed % 2)):
                state = await disturbed(town, history, Random(f"{seed} {attempt}"), matchers)
                assert state == expected, said(seed, matchers, history, expected, state)
                seen["alerts withdrawn"] += await town.pool.fetchval(
                    "SELECT count(*) FROM alert WHERE state = 'withdrawn'"
                )
                seen["revisions"] += await town.pool.fetchval("SELECT count(*) FROM alert_revision")
        seen["days dropped"] = town.drops
    print(dict(seen))
    assert seen["with a match"] > 0.5 * HISTORIES


async def straight(town: Town, history: History) -> bytes:
    await town.begin(history)
    for delivery in in_order(history):
        await town.deliver(delivery)
    await town.settle(Matcher(town.pool, town.run_id, Random(0)))
    return await town.state()


async def disturbed(town: Town, history: History, draw: Random, matchers: int) -> bytes:
    await town.begin(history)
    deliveries = in_disorder(draw, history)
    if matchers > 1:
        with slow_round_trips(draw):
            await town.rush(draw, deliveries, matchers)
        return await town.state()
    matcher = Matcher(town.pool, town.run_id, draw)
    for delivery in deliveries:
        await town.deliver(delivery)
        if draw.random() < 0.5:
            await town.settle(matcher)
    await town.settle(matcher)
    return await town.state()


def said(seed: int, matchers: int, history: History, expected: bytes, found: bytes) -> str:
    """What differs, and of what history; the seed gives all of it again."""
    before, after = json.loads(expected), json.loads(found)
    lines = [f"history {seed}, {matchers} matchers: {len(history.pings)} pings"]
    for kind in ("matches", "alerts"):
        lines += [f"  only in order: {kind} {each}" for each in before[kind] if each not in after[kind]]
        lines += [f"  only disturbed: {kind} {each}" for each in after[kind] if each not in before[kind]]
    return "\n".join(lines)
