import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import Connection
from app.identity import incident_id, wearer_id
from tests.app.conftest import MakeKey
from tests.app.incidents.examples import an_incident

Json = Any

EFFECTIVE = """
SELECT d.serial, w.reference, e.from_at, nullif(e.to_at, 'infinity') AS to_at, e.activation_ref, e.revision,
    e.is_cut_short
FROM effective_activation e JOIN device d USING (device_id) JOIN wearer w USING (wearer_id)
ORDER BY d.serial, e.from_at
"""

REJOINS = """
SELECT serial, from_at, nullif(to_at, 'infinity') AS to_at FROM rejoin JOIN device USING (device_id) ORDER BY 1, 2
"""


@pytest.fixture
async def gps(make_key: MakeKey) -> dict[str, str]:
    return await make_key("gps", "contractor", "devices:write", "devices:read", "wearers:write", "wearers:read")


def a_fitting(**changed: Any) -> Json:  # noqa: ANN401 - JSON
    return {
        "activation_id": "F1",
        "device_id": "TAG1",
        "wearer_reference": "W1",
        "fitted_at": "2026-01-01T10:00:00Z",
        **changed,
    }


async def _post(service: httpx.AsyncClient, key: dict[str, str], body: Json) -> Json:
    answer = await service.post("/v1/activations", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _rejoins(connection: Connection) -> list[tuple[str, datetime, datetime | None]]:
    rows = await connection.fetch(REJOINS)
    return [tuple(row) for row in rows]


def noon(day: int) -> datetime:
    return datetime(2026, 1, day, 12, tzinfo=UTC)


def rfc(instant: datetime) -> str:
    return instant.isoformat()


async def test_a_fitting_makes_its_device_and_its_wearer_and_counts_until_further_notice(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    answer = await _post(service, gps, a_fitting())
    assert answer["activations"] == [{"line": 1, "activation_id": "F1", "revision": 1, "outcome": "stored"}]
    assert await _rejoins(connection) == [("TAG1", datetime(2026, 1, 1, 10, tzinfo=UTC), None)]
    assert await connection.fetchval("SELECT registered_by FROM wearer") is None
    read = (await service.get("/v1/activations", params={"device_id": "TAG1"}, headers=gps)).json()
    assert [(e["wearer_reference"], e["from"], e["to"]) for e in read["effective"]] == [
        ("W1", "2026-01-01T10:00:00Z", None)
    ]
    assert [r["revision"] for r in read["received"]] == [1]


async def test_the_same_revision_again_is_a_duplicate_and_starts_nothing(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, a_fitting())
    answer = await _post(service, gps, [a_fitting(), a_fitting()])
    assert (answer["stored"], answer["duplicates"]) == (0, 2)
    assert len(await _rejoins(connection)) == 1


async def test_the_same_revision_with_another_content_is_refused_with_what_to_do(
    service: httpx.AsyncClient, gps: dict[str, str]
) -> None:
    await _post(service, gps, a_fitting())
    single = await service.post("/v1/activations", json=a_fitting(wearer_reference="W2"), headers=gps)
    assert single.status_code == 422
    assert single.json()["errors"][0]["required_action"] == "Send the correction with a higher revision."
    many = await _post(service, gps, [a_fitting(wearer_reference="W2"), a_fitting(activation_id="F2", device_id="T2")])
    assert [(e["line"], e["code"]) for e in many["errors"]] == [(1, "revision_conflict")]
    assert many["stored"] == 1


async def test_two_contents_for_one_revision_in_one_body_keep_the_first(
    service: httpx.AsyncClient, gps: dict[str, str]
) -> None:
    answer = await _post(service, gps, [a_fitting(), a_fitting(wearer_reference="W2")])
    assert (answer["stored"], [e["line"] for e in answer["errors"]]) == (1, [2])


async def test_a_correction_that_names_another_wearer_hands_the_whole_stretch_over(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, a_fitting(removed_at=rfc(noon(5))))
    await connection.execute("DELETE FROM rejoin")
    await _post(service, gps, a_fitting(removed_at=rfc(noon(5)), wearer_reference="W2", revision=2))
    assert await _rejoins(connection) == [("TAG1", datetime(2026, 1, 1, 10, tzinfo=UTC), noon(5))]


async def test_a_correction_that_moves_a_fitting_frees_the_old_device(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, a_fitting(fitted_at=rfc(noon(1))))
    await connection.execute("DELETE FROM rejoin")
    await _post(service, gps, a_fitting(fitted_at=rfc(noon(1)), device_id="TAG2", revision=2))
    assert [row["serial"] for row in await connection.fetch(EFFECTIVE)] == ["TAG2"]
    assert await _rejoins(connection) == [("TAG1", noon(1), None), ("TAG2", noon(1), None)]


async def test_a_fitting_that_was_moved_away_stays_away_when_its_old_device_has_news(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, [a_fitting(), a_fitting(revision=2, device_id="TAG2")])
    await _post(service, gps, a_fitting(activation_id="F2", wearer_reference="W2", fitted_at=rfc(noon(9))))
    effective = await connection.fetch(EFFECTIVE)
    assert [(row["serial"], row["reference"]) for row in effective] == [("TAG1", "W2"), ("TAG2", "W1")]


async def test_a_revision_that_comes_after_a_higher_one_changes_nothing(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, a_fitting(revision=2, device_id="TAG2"))
    before = await connection.fetch(EFFECTIVE)
    await connection.execute("DELETE FROM rejoin")
    assert (await _post(service, gps, a_fitting(revision=1)))["stored"] == 1
    assert await connection.fetch(EFFECTIVE) == before
    assert await _rejoins(connection) == []


async def test_a_void_takes_the_fitting_back(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, [a_fitting(), a_fitting(revision=2, void=True)])
    assert await connection.fetch(EFFECTIVE) == []


async def test_a_removal_hands_only_the_time_after_it_to_nobody(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    await _post(service, gps, a_fitting())
    await connection.execute("DELETE FROM rejoin")
    await _post(service, gps, a_fitting(revision=2, removed_at=rfc(noon(9))))
    assert await _rejoins(connection) == [("TAG1", noon(9), None)]


async def test_contradicting_fittings_are_reported_and_stored(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    first = a_fitting(fitted_at=rfc(noon(1)), removed_at=rfc(noon(9)))
    second = a_fitting(activation_id="F2", wearer_reference="W2", fitted_at=rfc(noon(3)))
    await _post(service, gps, first)
    answer = await _post(service, gps, second)
    assert answer["overlaps"] == [
        {
            "device_id": "TAG1",
            "activation_id": "F1",
            "revision": 1,
            "stated_removed_at": "2026-01-09T12:00:00Z",
            "cut_at": "2026-01-03T12:00:00Z",
            "cut_by": "F2",
        }
    ]
    read = (await service.get("/v1/activations", params={"device_id": "TAG1"}, headers=gps)).json()
    assert [e["is_cut_short"] for e in read["effective"]] == [True, False]


async def test_a_handover_makes_pairs_of_both_wearers_due_whose_context_it_meets(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection, make_key: MakeKey
) -> None:
    force = await make_key("met", "force", "incidents:write")
    await service.post("/v1/incidents", json=an_incident(), headers=force)
    await _post(service, gps, a_fitting(fitted_at=rfc(noon(1)), removed_at=rfc(noon(9))))
    await _post(service, gps, a_fitting(activation_id="F2", wearer_reference="W2", device_id="T2"))
    for reference, day in (("W1", 2), ("W2", 2), ("W1", 20)):
        await connection.execute(
            "INSERT INTO due (incident_id, wearer_id, generation, context_from_at, context_to_at)"
            " VALUES ($1, $2, 0, $3, $3) ON CONFLICT DO NOTHING",
            incident_id("met", "01/1/26"),
            wearer_id(reference),
            noon(day),
        )
    await _post(
        service, gps, a_fitting(revision=2, wearer_reference="W2", fitted_at=rfc(noon(1)), removed_at=rfc(noon(9)))
    )
    assert await connection.fetchval("SELECT count(*) FROM due WHERE generation > 0") == 2


async def test_only_contractors_post_fittings_and_see_only_their_own_devices(
    service: httpx.AsyncClient, gps: dict[str, str], make_key: MakeKey
) -> None:
    force = await make_key("met", "force", "devices:write", "devices:read")
    assert (await service.post("/v1/activations", json=a_fitting(), headers=force)).status_code == 403
    await _post(service, gps, a_fitting())
    other = await make_key("other", "contractor", "devices:write", "devices:read")
    seen = await service.get("/v1/activations", params={"device_id": "TAG1"}, headers=other)
    assert seen.status_code == 404
    assert (await _post(service, other, a_fitting()))["stored"] == 1


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"revision": 0}, "/revision", "out_of_range"),
        ({"revision": 2**31}, "/revision", "out_of_range"),
        ({"revision": 1.5}, "/revision", "wrong_type"),
        ({"device_id": ""}, "/device_id", "out_of_range"),
        ({"wearer_reference": "a\u001fb"}, "/wearer_reference", "invalid"),
        ({"fitted_at": "2026-01-01T10:00:00"}, "/fitted_at", "time_without_zone"),
        ({"removed_at": "2026-01-01T09:59:59Z"}, "", "ends_before_it_starts"),
    ],
)
async def test_a_bad_fitting_is_named(
    service: httpx.AsyncClient, gps: dict[str, str], changed: Json, pointer: str, code: str
) -> None:
    answer = await service.post("/v1/activations", json=a_fitting(**changed), headers=gps)
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]


async def test_corrections_at_once_leave_the_fitting_on_the_device_of_the_highest_revision_only(
    service: httpx.AsyncClient, gps: dict[str, str], connection: Connection
) -> None:
    bodies = [a_fitting(revision=revision, device_id=f"TAG{revision}") for revision in range(1, 13)]
    await asyncio.gather(*(_post(service, gps, body) for body in bodies))
    effective = await connection.fetch(EFFECTIVE)
    assert [(row["serial"], row["revision"]) for row in effective] == [("TAG12", 12)]


async def test_a_contractors_whole_fleet_is_one_post(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    fleet = [a_fitting(activation_id=f"F{n}", device_id=f"T{n}", wearer_reference=f"W{n}") for n in range(5_000)]
    assert (await _post(service, gps, fleet))["stored"] == 5_000


@st.composite
def posts(draw: st.DrawFn) -> list[list[Json]]:
    """Fittings of few devices and wearers, in some order, in some bodies."""
    keys = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), min_size=1, max_size=7, unique=True))
    bodies: list[list[Json]] = [[]]
    for reference, revision in keys:
        fitted = draw(st.integers(1, 6))
        removed = draw(st.none() | st.integers(fitted, 9))
        fitting = a_fitting(
            activation_id=reference,
            revision=revision,
            device_id=draw(st.sampled_from(["T1", "T2"])),
            wearer_reference=draw(st.sampled_from(["W1", "W2"])),
            fitted_at=rfc(noon(fitted)),
            removed_at=None if removed is None else rfc(noon(removed)),
            void=draw(st.booleans()) and draw(st.booleans()),
        )
        if draw(st.booleans()):
            bodies.append([])
        bodies[-1].append(fitting)
    return bodies


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=posts(), data=st.data())
async def test_any_order_and_division_of_the_same_fittings_ends_the_same(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection, bodies: list[list[Json]], data: st.DataObject
) -> None:
    """Two contractors are sent the same, one of them shuffled and in one body."""
    ends = []
    together = [fitting for body in bodies for fitting in body]
    for sent in (bodies, [data.draw(st.permutations(together))]):
        key = await make_key(f"contractor-{uuid4()}", "contractor", "devices:write")
        for body in sent:
            await _post(service, key, body)
        rows = await connection.fetch(EFFECTIVE)
        ends.append([tuple(row) for row in rows])
        await connection.execute("DELETE FROM effective_activation; DELETE FROM rejoin")
    assert ends[0] == ends[1]
