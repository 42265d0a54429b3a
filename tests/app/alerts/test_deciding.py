"""Decisions, looks and assignments over HTTP, while the matcher goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.db import Pool
from tests.app.alerts.conftest import Case
from tests.app.conftest import MakeKey
from tests.app.matching.world import Fix

WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def until_waiting(pool: Pool, n: int) -> None:
    """Return once n sessions of this database wait for locks."""
    async with asyncio.timeout(60):
        while await pool.fetchval(WAITING) < n:  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def nobody_writes(pool: Pool, table: str) -> AsyncIterator[None]:
    """Make whoever writes to a table wait until the block ends."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield


async def test_a_decision_is_kept_with_the_revision_it_was_made_on(case: Case) -> None:
    before = await case.alert()
    assert (before["state"], before["etag"], before["decision"]) == ("new", '"1-0"', None)
    answer = await case.decide("explained", reason="usual_route", text=" Passes daily. ", decided_by="PC Moore")
    assert answer.status_code == 201
    decision = answer.json()
    assert {name: decision[name] for name in ("revision", "state", "text", "is_second_check", "organisation")} == {
        "revision": 1,
        "state": "decided",
        "text": "Passes daily.",
        "is_second_check": False,
        "organisation": "Kent",
    }
    after = await case.alert()
    assert (after["state"], after["decision_id"], after["is_revised_since"]) == (
        "decided",
        decision["decision_id"],
        False,
    )
    assert answer.headers["etag"] == after["etag"] == '"1-1"'

    await case.revise()
    revised = await case.alert()
    assert (revised["state"], revised["revision"]) == ("decided", 2)
    assert (revised["decided_on_revision"], revised["is_revised_since"]) == (1, True)
    assert await case.decisions() == [decision]


async def test_the_last_decision_counts_and_all_are_kept(case: Case) -> None:
    states = []
    for decision in ("need_more", "explained", "data_too_poor", "need_more", "pass_to_police"):
        assert (await case.decide(decision)).status_code == 201
        states.append((await case.alert())["state"])
    assert states == ["in_review", "decided", "decided", "in_review", "decided"]
    assert [d["decision"] for d in await case.decisions()] == [
        "need_more",
        "explained",
        "data_too_poor",
        "need_more",
        "pass_to_police",
    ]


@pytest.mark.parametrize("if_match", [None, "*", "1-0", 'W/"1-0"', '"1-0", "2-0"', '"' + "9" * 30 + '-0"'])
async def test_without_an_etag_of_one_state_nothing_is_decided(case: Case, if_match: str | None) -> None:
    headers = case.kent if if_match is None else case.kent | {"If-Match": if_match}
    body = {"decision": "explained", "reason": "other", "text": "x", "decided_by": "PC Moore"}
    for method, path, sent in (
        ("POST", f"{case.path}/decisions", body),
        ("PATCH", case.path, {"by": "PC Moore", "state": "in_review"}),
    ):
        answer = await case.service.request(method, path, json=sent, headers=headers)
        assert (answer.status_code, answer.json()["title"]) == (428, "Precondition required")
    assert (await case.alert())["etag"] == '"1-0"'


async def test_a_stale_etag_is_told_what_has_changed(case: Case) -> None:
    await case.patch(assignee="PO Nowak")
    await case.revise()
    answer = await case.decide(etag='"1-0"')
    assert answer.status_code == 412
    assert '"2-1"' in answer.json()["detail"]
    revised, touched = answer.json()["errors"]
    assert revised["code"] == "revised"
    assert "positions inside from 2 to 3" in revised["message"]
    assert (touched["code"], touched["message"].endswith("in_review.")) == ("touched", True)
    assert await case.decisions() == []


async def test_a_decision_waits_for_a_revision_in_the_same_moment_and_is_refused(case: Case) -> None:
    pool = case.world.pool
    await case.world.pings(case.device_id, Fix(30, 5))
    await case.world.join()
    async with nobody_writes(pool, "outbox"):  # the last that the matcher writes: its transaction stays open
        revising = asyncio.create_task(case.world.evaluate())
        await until_waiting(pool, 1)
        deciding = asyncio.create_task(case.decide(etag='"1-0"'))
        await until_waiting(pool, 2)
    await revising
    answer = await deciding
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (412, "revised")
    assert await case.decisions() == []
    assert (await case.alert())["etag"] == '"2-0"'


async def test_a_revision_waits_for_a_decision_in_the_same_moment_and_leaves_it(case: Case) -> None:
    pool = case.world.pool
    await case.world.pings(case.device_id, Fix(30, 5))
    await case.world.join()
    async with nobody_writes(pool, "audit_event"):  # the last that a decision writes
        deciding = asyncio.create_task(case.decide("pass_to_police", etag='"1-0"'))
        await until_waiting(pool, 1)
        revising = asyncio.create_task(case.world.evaluate())
        await until_waiting(pool, 2)
    assert (await deciding).json()["revision"] == 1
    await revising
    alert = await case.alert()
    assert (alert["state"], alert["revision"], alert["decided_on_revision"]) == ("decided", 2, 1)


async def test_of_two_people_who_decide_at_once_one_is_told(case: Case) -> None:
    answers = await asyncio.gather(*(case.decide(etag='"1-0"', decided_by=name) for name in ("A", "B", "C")))
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412]
    assert len(await case.decisions()) == 1


async def test_a_decision_survives_withdrawal_and_the_alert_comes_back_for_review(case: Case) -> None:
    decision = (await case.decide("pass_to_police")).json()
    await case.withdraw()
    alert = await case.alert()
    assert (alert["state"], alert["decision_id"], alert["is_revised_since"]) == (
        "withdrawn",
        decision["decision_id"],
        True,
    )
    assert (await case.decide("explained")).status_code == 409
    assert (await case.patch(assignee="PO Nowak")).status_code == 409
    await case.reopen()
    assert (await case.alert())["state"] == "in_review"
    assert (await case.decide("explained")).json()["revision"] == 3
    assert (await case.decisions())[0] == decision


async def test_a_second_check_by_another_person_when_an_organisation_of_the_alert_asks(
    case: Case, make_key: MakeKey
) -> None:
    assert (await case.service.put("/v1/second-check", json={"is_asked": True}, headers=case.kent)).status_code == 200
    first = (await case.decide("pass_to_police")).json()
    assert first["state"] == "awaiting_second_check"
    other_key = await make_key("Kent", "force", "alerts:decide")
    for name, key in (("pc  MOORE", other_key), ("DS Hall", case.kent)):
        same = await case.decide("pass_to_police", confirms=first["decision_id"], decided_by=name, headers=key)
        assert (same.status_code, "another person" in same.json()["detail"]) == (409, True)
    second = (
        await case.decide("pass_to_police", confirms=first["decision_id"], decided_by="DS Hall", headers=other_key)
    ).json()
    assert (second["state"], second["is_second_check"]) == ("decided", True)
    assert (await case.alert())["state"] == "decided"


async def test_a_second_check_is_made_when_the_wearers_probation_region_asks_whoever_decides(
    case: Case, make_key: MakeKey
) -> None:
    north = await make_key("North", "probation", "admin")
    await case.service.put("/v1/second-check", json={"is_asked": True}, headers=north)
    assert (await case.decide("pass_to_police")).json()[
        "state"
    ] == "decided"  # a region that the alert does not concern
    await case.world.pool.execute(
        "UPDATE wearer SET probation_id = (SELECT organisation_id FROM organisation WHERE code = 'North')"
    )
    assert (await case.decide("pass_to_police")).json()["state"] == "awaiting_second_check"
    assert (await case.decide("explained")).json()["state"] == "decided"


async def test_nobody_confirms_on_other_evidence(case: Case) -> None:
    await case.service.put("/v1/second-check", json={"is_asked": True}, headers=case.kent)
    first = (await case.decide("pass_to_police")).json()
    await case.revise()
    assert (await case.alert())["state"] == "in_review"
    late = await case.decide("pass_to_police", confirms=first["decision_id"], decided_by="DS Hall")
    assert late.status_code == 409


async def test_the_same_decision_under_one_key_is_made_once(case: Case) -> None:
    once = {"headers": {"Idempotency-Key": "k-1"}}
    both = await asyncio.gather(*(case.decide(etag='"1-0"', headers=once["headers"]) for _ in range(2)))
    assert [answer.status_code for answer in both] == [201, 201]
    assert both[0].json() == both[1].json()
    await case.revise()
    again = await case.decide(etag='"1-0"', headers={"Idempotency-Key": "k-1"})
    assert (again.json(), again.headers["etag"]) == (both[0].json(), '"1-1"')
    other = await case.decide(text="something else", headers={"Idempotency-Key": "k-1"})
    assert (other.status_code, len(await case.decisions())) == (422, 1)


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"reason": "no_such"}, "/reason", "unknown_value"),
        ({"reason": "ask_the_wearer"}, "/reason", "unknown_value"),  # of another decision
        ({"text": "  "}, "/text", "out_of_range"),
        ({"decided_by": ""}, "/decided_by", "out_of_range"),
        ({"decision": "guilty"}, "/decision", "unknown_value"),
        ({"confirms": "x"}, "/confirms", "invalid"),
    ],
)
async def test_a_decision_has_a_reason_a_text_and_a_person(
    case: Case, changes: dict[str, str], pointer: str, code: str
) -> None:
    answer = await case.decide(**changes)
    assert answer.status_code == 422
    assert (answer.json()["errors"][0]["pointer"], answer.json()["errors"][0]["code"]) == (pointer, code)


async def test_reasons_are_added_and_taken_out_of_use_but_never_reworded(case: Case, make_key: MakeKey) -> None:
    path, put = "/v1/decision-reasons/at_school", {"decision": "explained", "label": "At school"}
    operator = await make_key("ops", "operator", "admin")
    # The list is everybody's, so no force changes it for the others.
    assert (await case.service.put(path, json=put, headers=case.kent)).status_code == 403
    assert (await case.service.put(path, json=put, headers=operator)).json()["is_active"] is True
    assert (await case.decide(reason="at_school")).status_code == 201
    assert (await case.service.put(path, json={**put, "label": "Else"}, headers=operator)).status_code == 409
    assert (await case.service.put(path, json={**put, "is_active": False}, headers=operator)).status_code == 200
    assert (await case.decide(reason="at_school")).status_code == 422
    reasons = (await case.service.get("/v1/decision-reasons", headers=case.kent)).json()["reasons"]
    assert {"code": "at_school", **put, "is_active": False} in reasons


async def test_a_look_or_an_assignment_takes_a_new_alert_into_review(case: Case) -> None:
    looked = await case.patch(state="in_review")
    assert (looked.json()["state"], looked.json()["assignee"], looked.headers["etag"]) == ("in_review", None, '"1-1"')
    assert (await case.patch(etag='"1-0"', assignee="PO Nowak")).status_code == 412
    assert (await case.patch(assignee="PO Nowak")).json()["assignee"] == "PO Nowak"
    account = await case.world.pool.fetchval(
        "INSERT INTO account (organisation_id, email, name, role) VALUES ($1, 'h@k.uk', 'DS Hall', 'analyst') "
        "RETURNING account_id",
        case.world.force_id,
    )
    assert (await case.patch(assignee_account_id=account)).json()["assignee"] == "DS Hall"
    assert (await case.patch(assignee=None)).json()["assignee"] is None
    history = (await case.service.get(f"{case.path}/assignments", headers=case.kent)).json()["assignments"]
    assert [(a["assignee"], a["assignee_account_id"], a["assigned_by"]) for a in history] == [
        ("PO Nowak", None, "PC Moore"),
        ("DS Hall", account, "PC Moore"),
        (None, None, "PC Moore"),
    ]
    await case.decide()
    assert (await case.patch(assignee="PO Nowak")).json()["state"] == "decided"
    assert (await case.patch(state="in_review")).status_code == 409


@pytest.mark.parametrize(
    "body", [{}, {"assignee": "A", "assignee_account_id": 1}, {"state": "decided"}, {"assignee_account_id": 99}]
)
async def test_a_patch_that_says_nothing_or_too_much_is_refused(case: Case, body: dict[str, str]) -> None:
    assert (await case.patch(**body)).status_code == 422
    assert (await case.alert())["etag"] == '"1-0"'


async def test_revisions_are_read_a_page_at_a_time(case: Case) -> None:
    await case.revise()
    await case.withdraw()
    first = await case.service.get(f"{case.path}/revisions", headers=case.kent, params={"limit": 2})
    assert [(r["revision"], r["kind"]) for r in first.json()["revisions"]] == [(1, "raised"), (2, "revised")]
    second = await case.service.get(first.links["next"]["url"], headers=case.kent)
    assert [r["kind"] for r in second.json()["revisions"]] == ["withdrawn"]


async def test_strangers_and_readers_decide_nothing_and_strangers_see_nothing(case: Case, make_key: MakeKey) -> None:
    essex = await make_key("Essex", "force", "alerts:read", "alerts:decide")
    reader = await make_key("Kent", "force", "alerts:read")
    body = {"decision": "explained", "reason": "other", "text": "x", "decided_by": "PC Moore"}
    outcome = {"outcome": "arrested", "date": "2026-03-15", "source": "custody"}
    writes = (
        ("POST", f"{case.path}/decisions", body),
        ("PATCH", case.path, {"by": "A", "state": "in_review"}),
        ("POST", f"{case.path}/outcomes", outcome),
    )
    for method, path, sent in writes:
        for key, status in ((essex, 404), (reader, 403)):
            answer = await case.service.request(method, path, json=sent, headers=key | {"If-Match": '"1-0"'})
            assert answer.status_code == status, path
    for part in ("", "/decisions", "/revisions", "/outcomes", "/assignments"):
        assert (await case.service.get(case.path + part, headers=essex)).status_code == 404
        assert (await case.service.get(case.path + part, headers=reader)).status_code == 200
    for path in ("/v1/second-check", "/v1/decision-reasons/x"):
        assert (await case.service.put(path, json={}, headers=reader)).status_code == 403


async def test_every_look_and_every_decision_is_audited_with_the_wearer(case: Case) -> None:
    await case.patch(etag='"1-0"', state="in_review")
    await case.patch(etag='"1-1"', assignee="PO Nowak")
    await case.decide("pass_to_police", etag='"1-2"')
    for part in ("decisions", "revisions", "outcomes", "assignments"):
        await case.service.get(f"{case.path}/{part}", headers=case.kent)
    assert await case.audited() == [
        ("alerts.take_up", 1),
        ("alerts.get", 1),
        ("alerts.assign", 1),
        ("alerts.get", 1),
        ("decisions.make", 1),
        ("decisions.list", 1),
        ("revisions.list", 1),
        ("outcomes.list", 1),
        ("assignments.list", 1),
    ]


@pytest.mark.parametrize("table", ["decision", "assignment", "outcome"])
async def test_what_people_did_cannot_be_changed(case: Case, table: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await case.world.pool.execute(f"DELETE FROM {table}")
