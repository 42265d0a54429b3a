"""Who is told of an alert in the database's words, once each, and what happens when nobody looks."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.access.viewer import Viewer
from app.alerts.dispatcher import dispatch
from app.alerts.reading import find_alert
from app.delivery.escalation import escalate
from tests.app.conftest import MakeKey
from tests.app.delivery.conftest import Clock, Json, Town
from tests.app.matching.world import INSIDE


async def account(town: Town, name: str, role: str, organisation: str = "Kent") -> int:
    return int(
        await town.pool.fetchval(
            "INSERT INTO account (organisation_id, email, name, role) "
            "SELECT organisation_id, $1 || '@kent.example', $1, $2 FROM organisation WHERE code = $3 "
            "RETURNING account_id",
            name,
            role,
            organisation,
        )
    )


async def manages(town: Town, account_id: int, from_h: float = -1, to_h: float | None = None) -> None:
    """Let a person manage the wearer, from-to in hours from now."""
    now = datetime.now(UTC)
    to_at = None if to_h is None else now + timedelta(hours=to_h)
    await town.pool.execute(
        "INSERT INTO caseload (account_id, wearer_id, from_at, to_at) VALUES ($1, $2, $3, $4)",
        account_id,
        town.wearer_id,
        now + timedelta(hours=from_h),
        to_at,
    )


async def notices(town: Town, number: int = 0) -> list[tuple[str, int, str]]:
    """What was told to whom of an alert, as what, by the API."""
    path = f"/v1/alerts/{(await town.alert_ids())[number]}/notices"
    return [(n["event"], n["account_id"], n["told_as"]) for n in (await town.call("GET", path)).json()["notices"]]


@pytest.fixture
async def told(town: Town) -> Town:
    """The wearer is Kent's, and there is no alert yet."""
    town.device_id, town.wearer_id = await town.world.worn_device("W1")
    await town.pool.execute("UPDATE wearer SET force_id = $1", town.world.force_id)
    await town.world.pings(town.device_id, *INSIDE)
    return town


async def test_an_alert_is_told_to_who_manages_the_wearer_then_and_to_the_forces_hub(told: Town) -> None:
    manager, former, coming, gone, idle = [
        await account(told, name, "offender_manager") for name in ("now", "former", "coming", "gone", "idle")
    ]
    hub = await account(told, "hub", "hub_manager")
    await account(told, "analyst", "analyst")
    await manages(told, manager)
    await manages(told, former, from_h=-2, to_h=-1)
    await manages(told, coming, from_h=1)
    await manages(told, gone)
    await told.pool.execute("UPDATE account SET disabled_at = now() WHERE account_id = $1", gone)
    await told.raise_alerts("C1")
    await told.route()
    assert await notices(told) == [("raised", manager, "offender_manager"), ("raised", hub, "hub")]
    assert idle > 0


async def test_who_may_not_see_an_alert_is_not_told_of_it(told: Town, make_key: MakeKey) -> None:
    await make_key("North", "probation", "admin")
    manager = await account(told, "theirs", "offender_manager", "North")
    await manages(told, manager)
    await told.raise_alerts("C1")
    await told.route()
    assert await notices(told) == []
    await told.pool.execute(
        "UPDATE wearer SET probation_id = (SELECT organisation_id FROM organisation WHERE code = 'North')"
    )
    await told.withdraw("C1")
    await told.route()
    assert await notices(told) == [("withdrawn", manager, "offender_manager")]


async def test_each_event_is_routed_once_however_many_route(told: Town) -> None:
    hub = await account(told, "hub", "hub_manager")
    await told.raise_alerts("C1", "C2", "C3")
    await asyncio.gather(*(told.route() for _ in range(4)))
    await told.route()
    for number in range(3):
        assert await notices(told, number) == [("raised", hub, "hub")]


async def test_who_is_to_look_after_an_alert_is_told_so(told: Town) -> None:
    nowak = await account(told, "nowak", "analyst")
    await told.raise_alerts("C1")
    [alert_id] = await told.alert_ids()
    etag = (await told.call("GET", f"/v1/alerts/{alert_id}")).headers["etag"]
    body = {"by": "PC Moore", "assignee_account_id": nowak}
    headers = {"If-Match": etag}
    assert (await told.call("PATCH", f"/v1/alerts/{alert_id}", body, **headers)).status_code == 200
    await told.route()
    assert await notices(told) == [("assigned", nowak, "assignee")]


async def escalated(town: Town) -> list[str]:
    """What became of each alarm."""
    await escalate(town.pool, town.outside.clock())
    await town.route()
    return [row["became"] for row in await town.pool.fetch("SELECT became FROM escalation ORDER BY outbox_id")]


async def test_an_alert_at_which_nobody_looks_is_escalated_once_to_every_hub(
    told: Town, clock: Clock, make_key: MakeKey
) -> None:
    await make_key("North", "probation", "admin")
    await told.pool.execute(
        "UPDATE wearer SET probation_id = (SELECT organisation_id FROM organisation WHERE code = 'North')"
    )
    hub, north = await account(told, "hub", "hub_manager"), await account(told, "n", "hub_manager", "North")
    await told.raise_alerts("C1")
    await told.route()
    clock.forward(minutes=59)
    assert await escalated(told) == [None]
    clock.forward(minutes=2)
    assert await escalated(told) == ["escalated"]
    clock.forward(days=9)
    assert await escalated(told) == ["escalated"]
    assert await notices(told) == [("raised", hub, "hub"), ("escalated", hub, "hub"), ("escalated", north, "hub")]
    urgent = await told.pool.fetchval("SELECT bool_and(is_urgent) FROM notice WHERE account_id = $1", north)
    assert urgent is True


async def look(town: Town, alert_id: object, how: str) -> None:
    """Do something with an alert, as somebody or as a machine."""
    path = f"/v1/alerts/{alert_id}"
    etag = (await town.call("GET", path)).headers["etag"]
    if how == "takes it up":
        await town.call("PATCH", path, {"by": "PC Moore", "state": "in_review"}, **{"If-Match": etag})
    elif how == "decides":
        body = {"decision": "need_more", "reason": "other", "text": "x", "decided_by": "PC Moore"}
        await town.call("POST", f"{path}/decisions", body, **{"If-Match": etag})
    elif how == "reads it signed in":
        viewer = Viewer(
            town.world.force_id, "Kent", "force", frozenset(), account_id=await account(town, "a", "analyst")
        )
        async with town.pool.acquire() as connection, connection.transaction():
            await find_alert(connection, viewer, await town.pool.fetchval("SELECT alert_id FROM alert"))


@pytest.mark.parametrize(
    ("how", "became"),
    [
        ("takes it up", "looked_at"),
        ("decides", "looked_at"),
        ("reads it signed in", "looked_at"),
        ("reads it by a key", "escalated"),  # which may be a machine's
    ],
)
async def test_a_look_is_what_a_person_does(told: Town, clock: Clock, how: str, became: str) -> None:
    await told.raise_alerts("C1")
    await told.route()
    await look(told, (await told.alert_ids())[0], how)
    clock.forward(hours=2)
    assert await escalated(told) == [became]


async def test_a_withdrawn_alert_is_not_escalated_and_a_reopened_one_by_its_own_time(told: Town, clock: Clock) -> None:
    await told.raise_alerts("C1")
    await told.withdraw("C1")
    await told.world.crime("C1")
    await told.world.settle()
    await told.route()
    clock.forward(hours=2)
    assert await escalated(told) == ["withdrawn", "escalated"]


async def test_the_force_says_how_long_and_what_is_urgent(told: Town, make_key: MakeKey) -> None:
    default = {"escalate_after_s": 3600, "urgent_offences": ["AB", "RB"]}
    assert (await told.call("GET", "/v1/routing-rule")).json() == default
    assert (await told.call("PUT", "/v1/routing-rule", default | {"escalate_after_s": 5})).status_code == 422
    assert (await told.call("PUT", "/v1/routing-rule", {"urgent_offences": []})).status_code == 422
    rule = {"escalate_after_s": None, "urgent_offences": ["BIAD"]}
    assert (await told.call("PUT", "/v1/routing-rule", rule)).json() == rule
    assert (await told.call("GET", "/v1/routing-rule")).json() == rule
    await told.raise_alerts("C1")
    await told.route()
    assert await told.pool.fetchval("SELECT count(*) FROM escalation") == 0
    north = await make_key("North", "probation", "admin")
    assert (await told.service.put("/v1/routing-rule", json=rule, headers=north)).status_code == 403


PREFERENCE: Json = {
    "by_email": True,
    "quiet_from": "19:00",
    "quiet_to": "07:30",
    "digest_at": ["08:00", "13:00"],
    "urgent_at_once": False,
}


async def test_a_persons_preference_is_their_organisations_to_set(told: Town, make_key: MakeKey) -> None:
    hub = await account(told, "hub", "hub_manager")
    path = f"/v1/accounts/{hub}/preference"
    assert (await told.call("GET", path)).json() == {
        "by_email": True,
        "quiet_from": None,
        "quiet_to": None,
        "digest_at": [],
        "urgent_at_once": True,
    }
    assert (await told.call("PUT", path, PREFERENCE)).json() == PREFERENCE
    assert (await told.call("GET", path)).json() == PREFERENCE
    for wrong in ({"quiet_to": None}, {"quiet_to": "19:00"}, {"digest_at": ["8 o'clock"]}, {"quiet_from": "07:00Z"}):
        assert (await told.call("PUT", path, PREFERENCE | wrong)).status_code == 422
    stranger = await make_key("Essex", "force", "admin")
    for method in ("GET", "PUT"):
        answer = await told.service.request(method, path, json=PREFERENCE, headers=stranger)
        assert answer.status_code == 404


async def test_what_waits_already_follows_a_new_preference(told: Town, clock: Clock) -> None:
    hub = await account(told, "hub", "hub_manager")
    path = f"/v1/accounts/{hub}/preference"
    clock.now = datetime(2026, 7, 1, 20, tzinfo=UTC)
    await told.call("PUT", path, PREFERENCE)
    await told.raise_alerts("C1")
    await told.route()
    due = "SELECT due_at FROM notice"
    assert await told.pool.fetchval(due) == datetime(2026, 7, 2, 7, tzinfo=UTC)
    await told.call("PUT", path, PREFERENCE | {"digest_at": []})
    assert await told.pool.fetchval(due) == datetime(2026, 7, 2, 6, 30, tzinfo=UTC)
    await told.call("PUT", path, PREFERENCE | {"by_email": False})
    assert await told.pool.fetchval(due) is None


async def test_what_was_on_the_stream_before_is_told_to_nobody_now(told: Town) -> None:
    await account(told, "hub", "hub_manager")
    await told.raise_alerts("C1")
    await dispatch(told.pool)
    await told.pool.execute("UPDATE routing SET position = (SELECT max(position) FROM outbox)")
    await told.route()
    assert await notices(told) == []
