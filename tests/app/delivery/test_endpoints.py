"""Endpoints over HTTP: whose they are, what they are told, and which addresses are refused."""

import pytest
from fastapi import FastAPI

from tests.app.conftest import MakeKey
from tests.app.delivery.conftest import Town
from tests.app.delivery.receivers import receiving


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://hooks.test/", "invalid"),
        ("hooks.test", "invalid"),
        ("https://", "invalid"),
        ("https://user:password@hooks.test/", "invalid"),
        ("https://hooks.test/#part", "invalid"),
        ("https://hooks.test/\n", "invalid"),
        ("https://127.1/", "invalid"),
        ("https://2130706433/", "invalid"),
        ("https://0x7f.1/", "invalid"),
        ("https://10.0.0.1/", "address_refused"),
        ("https://[::1]/", "address_refused"),
        ("https://[::ffff:10.0.0.1]/", "address_refused"),
        ("https://169.254.169.254/latest", "address_refused"),
        ("http://8.8.8.8/", "address_refused"),
    ],
)
async def test_an_address_that_nothing_could_be_sent_to_is_refused(town: Town, url: str, code: str) -> None:
    for method, path in (("POST", "/v1/endpoints"), ("PATCH", "/v1/endpoints/1")):
        answer = await town.call(method, path, {"url": url})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code), url
        assert answer.json()["errors"][0]["pointer"] == "/url"


async def test_an_endpoint_gets_the_events_it_asks_for_of_alerts_that_its_organisation_may_see(
    town: Town, make_key: MakeKey
) -> None:
    north = await make_key("North", "probation", "admin")
    essex = await make_key("Essex", "force", "admin")
    async with receiving() as raised, receiving() as everything, receiving() as probation, receiving() as other:
        await town.endpoint(raised.url(), events=["raised", "reopened"])
        await town.endpoint(everything.url())
        for key, receiver in ((north, probation), (essex, other)):
            made = await town.service.post("/v1/endpoints", json={"url": receiver.url()}, headers=key)
            assert made.status_code == 201
        await town.raise_alerts("C1")
        await town.deliver()
        await town.pool.execute(
            "UPDATE wearer SET probation_id = (SELECT organisation_id FROM organisation WHERE code = 'North')"
        )
        await town.revise_all(30)
        await town.deliver()
    kinds = [[r.event["type"].rpartition(".")[2] for r in each.requests] for each in (raised, everything, probation)]
    assert kinds == [["raised"], ["raised", "revised"], ["revised"]]
    assert other.requests == []


async def test_nobody_else_sees_or_changes_an_endpoint_or_its_deliveries(town: Town, make_key: MakeKey) -> None:
    stranger = await make_key("Essex", "force", "admin")
    reader = await make_key("Kent", "force", "alerts:read")
    async with receiving() as receiver:
        endpoint_id = (await town.endpoint(receiver.url()))["endpoint_id"]
        await town.raise_alerts("C1")
        await town.deliver()
    [delivery] = await town.deliveries()
    assert (await town.service.get("/v1/endpoints", headers=stranger)).json()["endpoints"] == []
    assert (await town.service.get("/v1/deliveries", headers=stranger)).json()["deliveries"] == []
    for method, path in (
        ("GET", f"/v1/endpoints/{endpoint_id}"),
        ("PATCH", f"/v1/endpoints/{endpoint_id}"),
        ("DELETE", f"/v1/endpoints/{endpoint_id}"),
        ("POST", f"/v1/endpoints/{endpoint_id}/test"),
        ("POST", f"/v1/endpoints/{endpoint_id}/secret"),
        ("GET", f"/v1/deliveries/{delivery['delivery_id']}"),
        ("POST", f"/v1/deliveries/{delivery['delivery_id']}/retry"),
    ):
        assert (await town.service.request(method, path, json={}, headers=stranger)).status_code == 404, path
        assert (await town.service.request(method, path, json={}, headers=reader)).status_code == 403, path
    contractor = await make_key("Tags", "contractor", "admin")
    refused = await town.service.post("/v1/endpoints", json={"url": "https://hooks.test/"}, headers=contractor)
    assert refused.status_code == 403


async def test_without_a_signing_key_there_are_no_endpoints(town: Town, application: FastAPI) -> None:
    application.state.outside = town.outside._replace(signing_key=None)
    answer = await town.call("POST", "/v1/endpoints", {"url": "https://hooks.test/"})
    assert (answer.status_code, "TRAILMATCH_SIGNING_KEY" in answer.json()["detail"]) == (409, True)
    assert (await town.call("GET", "/v1/endpoints")).json()["endpoints"] == []


async def test_what_is_done_with_endpoints_is_audited_and_deliveries_name_the_wearer(town: Town) -> None:
    async with receiving() as receiver:
        path = f"/v1/endpoints/{(await town.endpoint(receiver.url()))['endpoint_id']}"
        await town.raise_alerts("C1")
        await town.deliver()
        await town.call("PATCH", path, {"label": "x"})
        await town.call("POST", f"{path}/secret", {})
        await town.deliveries()
        await town.call("DELETE", path)
    rows = await town.pool.fetch("SELECT action, subject, wearer_ids FROM audit_event ORDER BY audit_event_id")
    assert [(row["action"], len(row["wearer_ids"])) for row in rows] == [
        ("endpoints.create", 0),
        ("endpoints.patch", 0),
        ("endpoints.rotate_secret", 0),
        ("deliveries.list", 1),
        ("endpoints.delete", 0),
    ]
    assert "hook?" not in str(rows)  # a path may hold a receiver's secret


async def test_lists_come_in_pages(town: Town) -> None:
    made = [(await town.endpoint(f"https://hooks{i}.test/"))["endpoint_id"] for i in range(3)]
    first = await town.call("GET", "/v1/endpoints?limit=2")
    second = await town.call("GET", first.links["next"]["url"])
    assert [e["endpoint_id"] for e in first.json()["endpoints"] + second.json()["endpoints"]] == made
    assert second.json()["next"] is None
