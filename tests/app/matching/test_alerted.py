"""What becomes of an alert when its crime or its trail changes, and in which order that is told."""

from tests.app.matching.world import INSIDE, Fix, World


async def test_a_later_ping_inside_revises_the_alert_and_says_why(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.crime("C1")
    await world.pings(device, *INSIDE)
    await world.settle()
    await world.pings(device, Fix(30, 5))
    await world.settle()
    assert await world.alerts() == {("C1", "W1"): ("new", 2)}
    (_, raised), (kind, why) = await world.revisions()
    assert (raised, kind) == ("First match.", "revised")
    assert "positions inside from 2 to 3" in why


async def test_an_amended_crime_withdraws_the_alert_and_a_second_amendment_reopens_it(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    await world.crime("C1")
    await world.settle()
    await world.crime("C1", north_m=5_000.0)
    await world.settle()
    assert await world.matches() == {}
    assert await world.alerts() == {("C1", "W1"): ("withdrawn", 2)}
    await world.crime("C1", north_m=10.0)
    await world.settle()
    assert await world.matches() == {("C1", "W1"): 2}
    assert await world.alerts() == {("C1", "W1"): ("in_review", 3)}
    assert [kind for kind, _ in await world.revisions()] == ["raised", "withdrawn", "reopened"]


async def test_a_withdrawn_crime_takes_its_matches_with_it(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    await world.crime("C1")
    await world.settle()
    await world.crime("C1", is_withdrawn=True)
    await world.settle()
    assert await world.matches() == {}
    assert await world.alerts() == {("C1", "W1"): ("withdrawn", 2)}
    await world.pings(device, Fix(30, 0))
    await world.join()
    assert await world.pool.fetchval("SELECT count(*) FROM due") == 0


async def test_positions_on_the_stream_never_appear_below_one_that_was_seen(world: World) -> None:
    device, _ = await world.worn_device("W1")
    await world.pings(device, *INSIDE)
    for reference in ("C1", "C2", "C3"):
        await world.crime(reference)
        await world.settle()
    positions = [r["position"] for r in await world.pool.fetch("SELECT position FROM outbox ORDER BY outbox_id")]
    assert positions == sorted(positions)
    assert len(positions) == 3
