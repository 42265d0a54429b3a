from typing import Any

import httpx
import pytest

from app.db import Connection
from app.identity import incident_id
from app.matching.profiles import publish_profile
from matcher.profile import plain_radius
from tests.app.conftest import MakeKey
from tests.app.incidents.examples import an_incident

Json = Any


@pytest.fixture
async def met(make_key: MakeKey) -> dict[str, str]:
    return await make_key("met", "force", "incidents:write", "incidents:read")


async def _post(service: httpx.AsyncClient, key: dict[str, str], body: Json) -> Json:
    answer = await service.post("/v1/incidents", json=body, headers=key)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


async def _history(service: httpx.AsyncClient, key: dict[str, str], reference: str = "01/1/26") -> list[Json]:
    answer = await service.get(f"/v1/incidents/{incident_id('met', reference)}", headers=key)
    versions: list[Json] = answer.json()["versions"]
    return versions


async def test_one_new_incident_is_created(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    answer = await service.post("/v1/incidents", json=an_incident(), headers=met)
    assert answer.status_code == 201
    assert answer.json() == {
        "created": 1,
        "amended": 0,
        "unchanged": 0,
        "rejected": 0,
        "incidents": [
            {
                "line": 1,
                "incident_id": str(incident_id("met", "01/1/26")),
                "force": "met",
                "reference": "01/1/26",
                "version": 1,
                "outcome": "created",
                "changed": [],
            }
        ],
        "errors": [],
        "ignored_fields": {},
    }


async def test_the_same_record_again_is_unchanged(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    await _post(service, met, an_incident())
    answer = await service.post("/v1/incidents", json=an_incident(), headers=met)
    assert (answer.status_code, answer.json()["unchanged"]) == (200, 1)
    assert len(await _history(service, met)) == 1


async def test_the_same_instant_in_another_zone_is_unchanged(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    await _post(service, met, an_incident())
    body = an_incident(from_="2026-03-01T23:05:00.000+02:00", offence="BIAD")
    assert (await _post(service, met, body))["unchanged"] == 1


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"offence": "RB"}, ["offence"]),
        ({"from": "2026-03-01T21:04:59.999999Z"}, ["from"]),
        ({"to": "2026-03-02T21:05:00Z", "text": "t"}, ["to", "text"]),
        ({"lon": -0.12780001}, ["position"]),
        ({"lon": None, "lat": None, "easting": 530047.0, "northing": 180422.0}, ["position"]),
        ({"position_r95_m": 0.0}, ["position_r95_m"]),
        ({"withdrawn": True}, ["withdrawn"]),
        ({"profile": "standard"}, []),
        ({"profile": "radius-50m"}, ["profile"]),
    ],
)
async def test_what_differs_is_named_and_makes_a_version(
    service: httpx.AsyncClient, met: dict[str, str], connection: Connection, changed: Json, names: list[str]
) -> None:
    await publish_profile(connection, plain_radius("radius-50m", 50.0, 600.0))
    await _post(service, met, an_incident())
    [stored] = (await _post(service, met, an_incident(**changed)))["incidents"]
    assert stored["changed"] == names
    assert stored["outcome"] == ("amended" if names else "unchanged")
    assert [version["changed"] for version in await _history(service, met)] == [[], names][: stored["version"]]


async def test_a_newer_version_of_the_profile_alone_amends_nothing_but_is_bound_by_the_next_amendment(
    service: httpx.AsyncClient, met: dict[str, str], connection: Connection
) -> None:
    await _post(service, met, an_incident())
    await publish_profile(connection, plain_radius("standard", 100.0, 601.0))
    assert (await _post(service, met, an_incident()))["unchanged"] == 1
    assert (await _post(service, met, an_incident(profile="standard")))["unchanged"] == 1
    await _post(service, met, an_incident(offence="RB"))
    assert [version["profile"]["version"] for version in await _history(service, met)] == [1, 2]


async def test_an_amendment_without_a_profile_keeps_the_one_before(
    service: httpx.AsyncClient, met: dict[str, str], connection: Connection
) -> None:
    await publish_profile(connection, plain_radius("radius-50m", 50.0, 600.0))
    await _post(service, met, an_incident(profile="radius-50m"))
    await _post(service, met, an_incident(offence="RB"))
    assert [version["profile"]["name"] for version in await _history(service, met)] == ["radius-50m"] * 2


async def test_a_reference_twice_in_one_body_makes_versions_in_the_order_of_lines(
    service: httpx.AsyncClient, met: dict[str, str], connection: Connection
) -> None:
    body = [an_incident(text="a"), an_incident(text="b"), an_incident(text="b"), an_incident(text="a")]
    answer = await _post(service, met, body)
    assert [(i["version"], i["outcome"]) for i in answer["incidents"]] == [
        (1, "created"),
        (2, "amended"),
        (2, "unchanged"),
        (3, "amended"),
    ]
    assert [version["text"] for version in await _history(service, met)] == ["a", "b", "a"]
    published = await connection.fetch("SELECT version FROM incident_version ORDER BY publish_seq")
    assert [row["version"] for row in published] == [1, 2, 3]
    arrived = await connection.fetch("SELECT version FROM arrival ORDER BY version")
    assert [row["version"] for row in arrived] == [1, 2, 3]


async def test_a_grid_position_is_kept_as_delivered_and_given_in_degrees(
    service: httpx.AsyncClient, met: dict[str, str]
) -> None:
    # The Ordnance Survey's worked example of OSTN15: Framingham.
    body = an_incident(lon=None, lat=None, easting=622575.703, northing=297576.610)
    await _post(service, met, body)
    assert (await _post(service, met, body))["unchanged"] == 1
    [version] = await _history(service, met)
    assert (version["easting"], version["northing"]) == (622575.703, 297576.610)
    assert (version["lon"], version["lat"]) == pytest.approx((1.2735, 52.5314), abs=0.05)


async def test_a_grid_position_at_sea_is_refused_and_the_others_are_stored(
    service: httpx.AsyncClient, met: dict[str, str]
) -> None:
    at_sea = an_incident(reference="2", lon=None, lat=None, easting=1.0, northing=1.0)
    on_land = an_incident(reference="3", lon=None, lat=None, easting=530047.0, northing=180422.0)
    answer = await _post(service, met, [an_incident(), at_sea, on_land])
    assert [i["line"] for i in answer["incidents"]] == [1, 3]
    assert [(e["line"], e["pointer"], e["code"]) for e in answer["errors"]] == [(2, "/easting", "out_of_range")]


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"force": None}, "/force", "missing_field"),
        ({"force": "kent"}, "/force", "wrong_force"),
        ({"reference": ""}, "/reference", "out_of_range"),
        ({"reference": "x" * 201}, "/reference", "out_of_range"),
        ({"reference": "a\u001fb"}, "/reference", "invalid"),
        ({"reference": 5}, "/reference", "wrong_type"),
        ({"offence": "MURDER"}, "/offence", "unknown_value"),
        ({"from": "2026-03-01T21:05:00"}, "/from", "time_without_zone"),
        ({"from": "2026-03-01"}, "/from", "invalid"),
        ({"from": "2026-02-30T21:05:00Z"}, "/from", "invalid"),
        ({"from": 1772398800}, "/from", "wrong_type"),
        ({"to": "9999-12-31T23:59:59.999999Z"}, "/to", "out_of_range"),
        ({"to": "2026-03-01T21:04:59Z"}, "", "ends_before_it_starts"),
        ({"lon": 180.1}, "/lon", "out_of_range"),
        ({"lat": 85.1}, "/lat", "out_of_range"),
        ({"lat": "51.5"}, "/lat", "wrong_type"),
        ({"lat": None}, "", "missing_field"),
        ({"lat": None, "lon": None}, "", "missing_field"),
        ({"easting": 5.0}, "", "invalid"),
        ({"lat": None, "lon": None, "easting": 5.0}, "", "missing_field"),
        ({"lat": None, "lon": None, "easting": 700_001.0, "northing": 1.0}, "/easting", "out_of_range"),
        ({"position_r95_m": -1.0}, "/position_r95_m", "out_of_range"),
        ({"position_r95_m": 100_001}, "/position_r95_m", "out_of_range"),
        ({"text": "a\u0000b"}, "/text", "invalid"),
        ({"profile": "nobody"}, "/profile", "unknown_profile"),
        ({"withdrawn": 1}, "/withdrawn", "wrong_type"),
    ],
)
async def test_a_bad_single_incident_is_a_422_and_in_an_array_a_named_row(
    service: httpx.AsyncClient, met: dict[str, str], changed: Json, pointer: str, code: str
) -> None:
    bad = an_incident(**changed)
    single = await service.post("/v1/incidents", json=bad, headers=met)
    assert (single.status_code, single.headers["content-type"]) == (422, "application/problem+json")
    assert [(e["line"], e["pointer"], e["code"]) for e in single.json()["errors"]] == [(1, pointer, code)]
    many = await _post(service, met, [an_incident(reference="good"), bad])
    assert (many["created"], many["rejected"]) == (1, 1)
    assert [(e["line"], e["pointer"], e["code"]) for e in many["errors"]] == [(2, pointer, code)]


async def test_other_fields_are_ignored_and_counted(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    answer = await _post(service, met, [an_incident(offense="RB"), an_incident(reference="2", offense="RB")])
    assert answer["ignored_fields"] == {"offense": 2}


async def test_no_incident_is_a_post_too(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    assert (await _post(service, met, []))["incidents"] == []


async def test_an_operator_needs_admin_to_post_for_a_force(
    service: httpx.AsyncClient, met: dict[str, str], make_key: MakeKey
) -> None:
    assert met
    plain = await make_key("ops", "operator", "incidents:write")
    assert (await service.post("/v1/incidents", json=an_incident(), headers=plain)).status_code == 422
    admin = await make_key("ops", "operator", "incidents:write", "admin")
    assert (await service.post("/v1/incidents", json=an_incident(), headers=admin)).status_code == 201
    nowhere = await service.post("/v1/incidents", json=an_incident(force="nowhere"), headers=admin)
    assert nowhere.json()["errors"][0]["code"] == "wrong_force"


async def test_every_post_is_audited(service: httpx.AsyncClient, met: dict[str, str], connection: Connection) -> None:
    await _post(service, met, an_incident())
    event = await connection.fetchrow("SELECT * FROM audit_event")
    assert event is not None
    assert (event["action"], event["subject"]) == ("incidents.post", "created=1 amended=0")
    assert event["api_key_id"] is not None


async def test_five_thousand_incidents_are_one_post(service: httpx.AsyncClient, met: dict[str, str]) -> None:
    body = [an_incident(reference=str(number)) for number in range(5_000)]
    assert (await _post(service, met, body))["created"] == 5_000
    body[7]["offence"] = "RB"
    again = await _post(service, met, body)
    assert (again["amended"], again["unchanged"]) == (1, 4_999)
