"""What came of alerts that were passed to the police: over HTTP, one by one and as files."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.alerts.outcome_csv import CSV_EXAMPLE, read_outcome_csv
from app.errors import BadBody
from app.identity import alert_number, ids_of_alert_number
from tests.app.alerts.conftest import Case
from tests.app.conftest import MakeKey

ARRESTED = {"outcome": "arrested", "date": "2026-03-15", "source": "custody", "reference": "C/1"}
HEADER = "alert,outcome,date,source,reference\n"


async def post(case: Case, **changes: str) -> httpx.Response:
    return await case.service.post(f"{case.path}/outcomes", json=ARRESTED | changes, headers=case.kent)


async def post_csv(case: Case, text: str) -> httpx.Response:
    headers = case.kent | {"Content-Type": "text/csv"}
    return await case.service.post("/v1/alert-outcomes", content=text.encode(), headers=headers)


async def test_outcomes_follow_a_decision_to_pass_and_survive_withdrawal(case: Case) -> None:
    early = await post(case)
    assert (early.status_code, early.json()["errors"][0]["code"]) == (422, "not_passed_to_police")
    await case.decide("explained")
    assert (await post(case)).status_code == 422
    await case.decide("pass_to_police")
    assert (await post(case)).status_code == 200
    await case.withdraw()
    await post(case, outcome="no_further_action", date="2026-04-01")
    outcomes = (await case.service.get(f"{case.path}/outcomes", headers=case.kent)).json()["outcomes"]
    assert [(o["outcome"], o["date"], o["source"], o["reference"]) for o in outcomes] == [
        ("arrested", "2026-03-15", "custody", "C/1"),
        ("no_further_action", "2026-04-01", "custody", "C/1"),
    ]


async def test_an_unconfirmed_decision_has_no_outcome(case: Case, make_key: MakeKey) -> None:
    await case.service.put("/v1/second-check", json={"is_asked": True}, headers=case.kent)
    first = (await case.decide("pass_to_police")).json()
    assert (await post(case)).status_code == 422
    other_key = await make_key("Kent", "force", "alerts:decide")
    await case.decide("pass_to_police", confirms=first["decision_id"], decided_by="DS Hall", headers=other_key)
    assert (await post(case)).status_code == 200


async def test_an_outcome_that_is_sent_again_is_recorded_once(case: Case) -> None:
    await case.decide("pass_to_police")
    assert len((await post(case)).json()["outcomes"]) == 1
    assert len((await post(case)).json()["outcomes"]) == 1


async def test_no_outcome_lies_in_the_future(case: Case) -> None:
    await case.decide("pass_to_police")
    answer = await post(case, date=str((datetime.now(UTC) + timedelta(days=2)).date()))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "in_future")


async def test_a_file_of_outcomes_is_recorded_and_every_bad_row_named(case: Case) -> None:
    number = alert_number(case.alert_id)
    await case.decide("pass_to_police")
    text = HEADER + (
        f"{number},arrested,2026-03-15,custody,C/1\n"
        f"{case.alert_id},charged,2026-03-16,court,\n"
        f"{number.lower()},arrested,2026-03-15,custody,C/1\n"
        "A-00000000,arrested,2026-03-15,custody,\n"
        f"{number},guilty,2026-03-15,custody,\n"
        f"{number},arrested,15/03/2026,custody,\n"
    )
    receipt = (await post_csv(case, text)).json()
    assert [receipt[name] for name in ("recorded", "unchanged", "rejected")] == [2, 1, 3]
    assert [(e["line"], e["pointer"], e["code"]) for e in receipt["errors"]] == [
        (5, "/alert", "unknown_alert"),
        (6, "/outcome", "unknown_value"),
        (7, "/date", "invalid"),
    ]
    assert all(error["required_action"] for error in receipt["errors"])
    again = (await post_csv(case, text)).json()
    assert (again["recorded"], again["unchanged"]) == (0, 3)
    assert (await case.audited())[-1] == ("outcomes.record", 1)


async def test_a_file_says_nothing_of_alerts_that_the_caller_may_not_see(case: Case) -> None:
    await case.decide("pass_to_police")
    await case.world.pool.execute(
        "INSERT INTO organisation (code, name, kind) VALUES ('Essex', 'Essex', 'force');"
        "UPDATE incident SET force_id = (SELECT organisation_id FROM organisation WHERE code = 'Essex')"
    )
    receipt = (await post_csv(case, f"{HEADER}{case.alert_id},arrested,2026-03-15,custody,\n")).json()
    assert [error["code"] for error in receipt["errors"]] == ["unknown_alert"]


async def test_a_file_has_to_say_that_it_is_csv(case: Case) -> None:
    answer = await case.service.post("/v1/alert-outcomes", json={}, headers=case.kent)
    assert answer.status_code == 415


def test_the_example_can_be_read() -> None:
    rows = read_outcome_csv(CSV_EXAMPLE.encode())
    assert (len(rows.good), rows.errors) == (1, [])


def test_a_file_from_a_spreadsheet_is_read_with_its_mark_its_line_ends_and_its_order_of_columns() -> None:
    text = '\ufeffOutcome,Alert,Date,Source,Reference\r\narrested,A-M717YKX5,2026-03-15,"custody, Kent",C/1\r\n\r\n'
    [row] = read_outcome_csv(text.encode()).good
    assert (row.line, row.outcome.source) == (2, "custody, Kent")


def test_a_row_of_too_few_cells_or_without_an_alert_is_named() -> None:
    errors = read_outcome_csv(f"{HEADER}A-M717YKX5,arrested\nA-IIIIIIII,arrested,2026-03-15,x,\n".encode()).errors
    assert [(error.line, error.code) for error in errors] == [(2, "wrong_columns"), (3, "invalid")]


@pytest.mark.parametrize("body", [b"", b"a,b\n", HEADER.encode("utf-16"), f'{HEADER}"x'.encode()])
def test_what_is_no_file_of_outcomes_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(BadBody):
        read_outcome_csv(body)


def test_a_number_stands_for_the_ids_that_begin_with_its_bits() -> None:
    example = ids_of_alert_number("A-M717YKX5")
    assert example is not None
    assert [alert_number(each) for each in example] == ["A-M717YKX5", "A-M717YKX5"]
    assert alert_number(type(example[0])(int=example[0].int - 1)) != "A-M717YKX5"
    assert ids_of_alert_number("A-ZZZZZZZZ") is not None
    for no_number in ("M717YKX5", "A-M717YKX", "A-M717YKXU", ""):
        assert ids_of_alert_number(no_number) is None
