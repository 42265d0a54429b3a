"""Webhooks from the stream to receivers over real HTTP that misbehave, by a clock that the test sets."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.db import Pool
from app.delivery import webhooks
from app.delivery.running import running_deliveries
from app.delivery.webhooks import claim_endpoint, send_some
from app.identity import alert_number
from app.matching.lease import LeaseLost
from app.wake import Hints
from tests.app.delivery.conftest import Clock, Town
from tests.app.delivery.receivers import Receiver, Request, answer, drop, hang, receiving, server_tls


def ids(receiver: Receiver) -> list[str]:
    return [request.event["id"] for request in receiver.requests]


def types(receiver: Receiver) -> list[str]:
    return [request.event["type"] for request in receiver.requests]


async def test_events_arrive_in_the_order_of_the_stream_signed_and_thin(town: Town) -> None:
    async with receiving(tls=server_tls()) as receiver:
        endpoint = await town.endpoint(receiver.url("receiver.test"))
        await town.raise_alerts("C1", "C2")
        await town.revise_all(30)
        await town.withdraw("C1")
        assert await town.deliver() == 5
    kinds = [kind.removeprefix("trailmatch.alert.") for kind in types(receiver)]
    assert kinds == ["raised", "raised", "revised", "revised", "withdrawn"]
    assert ids(receiver) == await town.placed()
    [first, *_] = await town.alert_ids()
    for request in receiver.requests:
        assert Webhook(endpoint["secret"]).verify(request.body, request.headers) == request.event
        assert request.headers["webhook-id"] == f"msg_{request.event['id']}"
        assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        # Nothing but ids: no person, no crime, no place.
        assert set(request.event) == {
            *("specversion", "id", "source", "type", "time", "datacontenttype", "data", "subject")
        }
        assert set(request.event["data"]) == {"alert_id", "number", "revision", "position", "url"}
        assert request.event["data"]["url"] == f"https://trailmatch.example{request.event['subject']}"
    told = receiver.requests[-1].event["data"]
    assert (told["number"], told["revision"]) == (alert_number(first), 3)
    log = await town.deliveries(endpoint_id=endpoint["endpoint_id"], state="delivered")
    assert [(d["event"], d["attempts"], d["last_status"], d["last_error"]) for d in log] == [
        (kind, 1, 204, None) for kind in kinds
    ]


async def outage(town: Town, clock: Clock, receiver: Receiver) -> int:
    """Let three days pass in which alerts are raised and revised, and the receiver does not acknowledge."""
    clock.now = began = datetime.now(UTC) - timedelta(days=3, hours=2)
    await town.raise_alerts("C1", "C2", "C3")
    revised = 0
    while clock.now < began + timedelta(days=3):
        assert await town.deliver() == 0
        clock.forward(hours=1)
        if revised < 2 and clock.now > began + timedelta(days=revised + 1):
            revised += 1
            await town.revise_all(revised)
    attempts = await town.pool.fetchval("SELECT count(*) FROM attempt")
    assert 40 < attempts < 120  # it was tried all the time, and not all of the time
    # The public library takes nothing that was signed at another time than now.
    clock.now = datetime.now(UTC)
    receiver.behave = answer(204)
    return int(attempts)


async def test_a_receiver_that_nobody_reaches_for_three_days_gets_everything_in_order_once_it_is_back(
    town: Town, clock: Clock
) -> None:
    async with receiving() as receiver:
        endpoint = await town.endpoint(receiver.url())
        await receiver.stop()
        await outage(town, clock, receiver)
        waiting = (await town.call("GET", f"/v1/endpoints/{endpoint['endpoint_id']}")).json()
        assert (waiting["waiting"], waiting["is_enabled"], waiting["failures"] > 40) == (9, True, True)
        await receiver.start()
        await town.deliver()
        assert ids(receiver) == await town.placed()
        for request in receiver.requests:
            Webhook(endpoint["secret"]).verify(request.body, request.headers)
        well = (await town.call("GET", f"/v1/endpoints/{endpoint['endpoint_id']}")).json()
        assert (well["waiting"], well["failures"], well["resume_at"]) == (0, 0, None)


@pytest.mark.parametrize("behave", [answer(500), drop])
async def test_one_that_answers_badly_for_three_days_gets_everything_and_of_each_alert_in_order(
    town: Town, clock: Clock, behave: object
) -> None:
    async with receiving() as receiver:
        await town.endpoint(receiver.url())
        receiver.behave = behave  # type: ignore[assignment]
        refused = await outage(town, clock, receiver)
        tried = receiver.requests[:]
        assert len(tried) == refused
        receiver.requests.clear()
        while await town.deliver():
            clock.forward(hours=1)
        placed = await town.placed()
        assert sorted(ids(receiver)) == sorted(placed)
        # Whatever was tried before has the id that it had then, and the same words.
        bodies = {request.headers["webhook-id"]: request.body for request in receiver.requests}
        assert all(bodies[request.headers["webhook-id"]] == request.body for request in tried)
        by_alert: dict[str, list[int]] = defaultdict(list)
        for request in receiver.requests:
            by_alert[request.event["data"]["alert_id"]].append(placed.index(request.event["id"]))
        assert [len(places) for places in by_alert.values()] == [3, 3, 3]
        assert all(places == sorted(places) for places in by_alert.values())


async def test_an_event_that_breaks_the_receiver_holds_up_its_own_alert_only(town: Town, clock: Clock) -> None:
    await town.raise_alerts("C1", "C2", "C3")
    await town.route()
    bad = str((await town.alert_ids())[0])

    async def break_on_one(request: Request, writer: asyncio.StreamWriter) -> None:
        await answer(500 if request.event["data"]["alert_id"] == bad else 204)(request, writer)

    async with receiving(break_on_one) as receiver:
        await town.endpoint(receiver.url())
        await town.revise_all(30)
        await town.revise_all(40)
        for _ in range(3):
            await town.deliver()
            clock.forward(seconds=6)
        waiting = await town.deliveries(state="waiting")
        assert {delivery["alert_id"] for delivery in waiting} == {bad}
        assert [delivery["attempts"] > 0 for delivery in waiting] == [True, False]
        receiver.behave = answer(204)
        clock.forward(hours=2)
        assert await town.deliver() == 2
        assert ids(receiver)[-2:] == [delivery["event_id"] for delivery in waiting]


async def test_410_disables_the_endpoint_and_nothing_of_what_waits_or_comes_is_lost(town: Town, clock: Clock) -> None:
    async with receiving(answer(410)) as receiver:
        path = f"/v1/endpoints/{(await town.endpoint(receiver.url()))['endpoint_id']}"
        await town.raise_alerts("C1")
        await town.deliver()
        endpoint = (await town.call("GET", path)).json()
        assert (endpoint["is_enabled"], endpoint["disabled_because"]) == (False, "it answered 410 Gone")
        receiver.behave = answer(204)
        clock.forward(days=30)
        await town.revise_all(30)
        assert await town.deliver() == 0
        [first, second] = await town.deliveries(state="waiting")
        refused = await town.call("POST", f"/v1/deliveries/{first['delivery_id']}/retry")
        assert (refused.status_code, "disabled" in refused.json()["detail"]) == (409, True)
        receiver.requests.clear()
        enabled = await town.call("PATCH", path, {"is_enabled": True})
        assert (enabled.json()["is_enabled"], enabled.json()["disabled_because"]) == (True, None)
        assert await town.deliver() == 2
        assert ids(receiver) == [first["event_id"], second["event_id"]]


async def test_an_endpoint_that_is_disabled_by_hand_rests_until_it_is_enabled(town: Town) -> None:
    async with receiving() as receiver:
        path = f"/v1/endpoints/{(await town.endpoint(receiver.url(), label='one'))['endpoint_id']}"
        disabled = (await town.call("PATCH", path, {"is_enabled": False})).json()
        assert (disabled["is_enabled"], disabled["disabled_because"]) == (False, "by its organisation")
        await town.raise_alerts("C1")
        assert await town.deliver() == 0
        changed = (await town.call("PATCH", path, {"label": "two", "events": ["withdrawn"]})).json()
        assert (changed["label"], changed["events"], changed["is_enabled"]) == ("two", ["withdrawn"], False)
        await town.call("PATCH", path, {"is_enabled": True})
        assert await town.deliver() == 1


async def test_a_receiver_that_hangs_holds_up_no_other_and_gets_one_request_at_a_time(town: Town) -> None:
    async with receiving(hang) as stuck, receiving() as well:
        for _ in range(3):
            await town.endpoint(stuck.url())
        await town.endpoint(well.url())
        await town.raise_alerts("C1", "C2", "C3")
        patient = town.outside._replace(answer_s=2.0)
        async with asyncio.timeout(60), running_deliveries(town.pool, Hints(), patient):
            while await town.pool.fetchval("SELECT count(*) FROM attempt") < 6:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
        assert ids(well) == await town.placed()
        assert stuck.most_open == 3
        assert well.most_open == 1
        # Each was tried once: the test's clock stands still, and all of them rest.
        assert [d["attempts"] for d in await town.deliveries(state="waiting")].count(1) == 3


async def test_several_senders_share_the_endpoints_and_each_gets_everything_once_and_in_order(town: Town) -> None:
    async with receiving() as one, receiving() as two, receiving() as three:
        for receiver in (one, two, three):
            await town.endpoint(receiver.url())
        await town.raise_alerts("C1", "C2")
        await town.revise_all(30)
        await town.revise_all(40)
        await asyncio.gather(*(town.route() for _ in range(3)))
        await asyncio.gather(*(town.send() for _ in range(4)))
        for receiver in (one, two, three):
            assert ids(receiver) == await town.placed()
            assert receiver.most_open == 1


async def test_an_endpoint_for_which_much_waits_gives_the_others_their_turn(
    town: Town, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MESSAGES_A_TURN", 2)
    async with receiving() as one, receiving() as two:
        for receiver in (one, two):
            await town.endpoint(receiver.url())
        await town.raise_alerts("C1", "C2", "C3")
        await town.route()
        turns = []
        while claimed := await claim_endpoint(town.pool, clock()):
            sent = await send_some(town.pool, town.outside, claimed)
            turns.append((sent, len(one.requests), len(two.requests)))
            clock.forward(seconds=1)
    assert turns == [(2, 2, 0), (2, 2, 2), (1, 3, 2), (1, 3, 3)]


async def test_a_sender_that_dies_before_it_has_written_down_what_it_sent_sends_it_again_with_the_same_id(
    town: Town,
) -> None:
    async with receiving(hang) as receiver:
        await town.endpoint(receiver.url())
        await town.raise_alerts("C1")
        await town.route()
        sending = asyncio.create_task(town.send())
        async with asyncio.timeout(60):
            await receiver.has_come.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        receiver.behave = answer(204)
        assert await town.send() == 0  # its lease goes on
        await town.pool.execute("UPDATE endpoint SET claimed_until = now() - interval '1 second'")
        assert await town.send() == 1
        assert ids(receiver) == (await town.placed()) * 2
        assert receiver.requests[0].body == receiver.requests[1].body
        [delivery] = await town.deliveries()
        assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)


async def test_who_has_lost_the_lease_writes_nothing(town: Town) -> None:
    async def take_it(request: Request, writer: asyncio.StreamWriter) -> None:
        await town.pool.execute("UPDATE endpoint SET claim_token = gen_random_uuid()")
        await answer(204)(request, writer)

    async with receiving(take_it) as receiver:
        await town.endpoint(receiver.url())
        await town.raise_alerts("C1")
        await town.route()
        claimed = await claim_endpoint(town.pool, town.outside.clock())
        assert claimed is not None
        with pytest.raises(LeaseLost):
            await send_some(town.pool, town.outside, claimed)
    [delivery] = await town.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("waiting", 0)


async def test_who_has_lost_the_lease_sends_nothing_beside_its_successor(town: Town) -> None:
    async with receiving() as receiver:
        await town.endpoint(receiver.url())
        await town.raise_alerts("C1")
        await town.route()
        hung = await claim_endpoint(town.pool, town.outside.clock())
        assert hung is not None
        await town.pool.execute("UPDATE endpoint SET claimed_until = now() - interval '1 second'")
        successor = await claim_endpoint(town.pool, town.outside.clock())
        assert successor is not None
        assert await send_some(town.pool, town.outside, hung) == 0
        assert receiver.requests == []
        assert await send_some(town.pool, town.outside, successor) == 1


async def test_a_secret_is_replaced_while_both_sign_and_then_one(town: Town, clock: Clock) -> None:
    async with receiving() as receiver:
        endpoint = await town.endpoint(receiver.url())
        path = f"/v1/endpoints/{endpoint['endpoint_id']}"
        first = endpoint["secret"]
        second = (await town.call("POST", f"{path}/secret", {"overlap_hours": 2})).json()["secret"]
        await town.call("POST", f"{path}/test")
        [both] = receiver.requests
        for secret in (first, second):
            Webhook(secret).verify(both.body, both.headers)
        third = (await town.call("POST", f"{path}/secret", {"overlap_hours": 2})).json()["secret"]
        await town.call("POST", f"{path}/test")
        again = receiver.requests[1]
        assert again.headers["webhook-signature"].count("v1,") == 2
        with pytest.raises(WebhookVerificationError):
            Webhook(first).verify(again.body, again.headers)
        clock.now = datetime.now(UTC) + timedelta(hours=2, seconds=1)
        await town.call("POST", f"{path}/test")
        assert receiver.requests[2].headers["webhook-signature"].count("v1,") == 1
        clock.now = datetime.now(UTC)
        await town.call("POST", f"{path}/secret", {"overlap_hours": 0})
        await town.call("POST", f"{path}/test")
        with pytest.raises(WebhookVerificationError):
            Webhook(third).verify(receiver.requests[3].body, receiver.requests[3].headers)


async def test_a_secret_is_in_no_other_answer_nor_in_the_database(town: Town, pool: Pool) -> None:
    endpoint = await town.endpoint("https://hooks.test/")
    path = f"/v1/endpoints/{endpoint['endpoint_id']}"
    for answered in (await town.call("GET", "/v1/endpoints"), await town.call("GET", path)):
        assert "whsec" not in answered.text
    import base64

    secret = base64.b64decode(endpoint["secret"].removeprefix("whsec_"))
    for table in ("endpoint", "endpoint_secret", "audit_event"):
        for row in await pool.fetch(f"SELECT * FROM {table}"):
            for value in row.values():
                assert value != secret
                assert endpoint["secret"] not in str(value)


async def test_with_another_signing_key_nothing_is_sent_and_the_log_says_why(town: Town, clock: Clock) -> None:
    async with receiving() as receiver:
        await town.endpoint(receiver.url())
        await town.raise_alerts("C1")
        right, wrong = town.outside, town.outside._replace(signing_key=b"another key, of another process.")
        town.outside = wrong
        assert await town.deliver() == 0
        [delivery] = await town.deliveries()
        assert (delivery["state"], delivery["last_error"], receiver.requests) == ("waiting", "wrong_signing_key", [])
        clock.forward(minutes=1)
        town.outside = right
        assert await town.deliver() == 1


async def test_a_test_is_sent_once_whatever_the_endpoints_state_and_logged(town: Town) -> None:
    async with receiving(answer(500)) as receiver:
        endpoint = await town.endpoint(receiver.url())
        path = f"/v1/endpoints/{endpoint['endpoint_id']}"
        failed = (await town.call("POST", f"{path}/test")).json()
        assert (failed["state"], failed["last_status"], failed["event"]) == ("cancelled", 500, None)
        receiver.behave = answer(410)
        await town.call("POST", f"{path}/test")
        assert (await town.call("GET", path)).json()["is_enabled"] is True
        await town.call("PATCH", path, {"is_enabled": False})
        receiver.behave = answer(200)
        done = (await town.call("POST", f"{path}/test")).json()
        assert (done["state"], [a["status"] for a in done["log"]]) == ("delivered", [200])
        assert done["log"][0]["address"] == "127.0.0.1"
    assert set(types(receiver)) == {"trailmatch.test"}
    assert [request.event["data"] for request in receiver.requests] == [{}, {}, {}]
    again = await town.call("POST", f"/v1/deliveries/{done['delivery_id']}/retry")
    assert again.status_code == 409


async def test_by_hand_what_failed_is_sent_at_once_and_what_arrived_again(town: Town) -> None:
    async with receiving(answer(500)) as receiver:
        await town.endpoint(receiver.url())
        await town.raise_alerts("C1")
        await town.deliver()
        receiver.behave = answer(204)
        assert await town.deliver() == 0
        [delivery] = await town.deliveries()
        for attempts in (2, 3):
            due = await town.call("POST", f"/v1/deliveries/{delivery['delivery_id']}/retry")
            assert due.json()["state"] == "waiting"
            assert await town.deliver() == 1
            log = (await town.call("GET", f"/v1/deliveries/{delivery['delivery_id']}")).json()
            assert (log["state"], log["attempts"], len(log["log"])) == ("delivered", attempts, attempts)
    assert [a["error"] for a in log["log"]] == ["refused", None, None]
    assert len(set(ids(receiver))) == 1
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await town.pool.execute("DELETE FROM attempt")


async def test_nothing_goes_to_an_endpoint_that_was_deleted(town: Town) -> None:
    async with receiving() as receiver:
        path = f"/v1/endpoints/{(await town.endpoint(receiver.url()))['endpoint_id']}"
        await town.raise_alerts("C1")
        await town.route()
        assert (await town.call("DELETE", path)).status_code == 204
        await town.revise_all(30)
        assert await town.deliver() == 0
        for method, below in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/secret")):
            assert (await town.call(method, path + below, {})).status_code == 404
        [delivery] = await town.deliveries()
        assert delivery["state"] == "cancelled"
        assert (await town.call("POST", f"/v1/deliveries/{delivery['delivery_id']}/retry")).status_code == 409
    assert receiver.requests == []
