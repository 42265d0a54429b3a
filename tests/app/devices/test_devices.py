from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.app.conftest import MakeKey


@pytest.fixture
async def gps(service: httpx.AsyncClient, make_key: MakeKey) -> dict[str, str]:
    """A contractor with a tag worn now, one that was, one that will be, and one that never was."""
    key = await make_key("gps", "contractor", "devices:write", "devices:read")
    now = datetime.now(UTC)
    day = timedelta(days=1)
    fittings = [
        {"device_id": "worn", "fitted_at": now - day, "removed_at": None},
        {"device_id": "was", "fitted_at": now - day, "removed_at": now - timedelta(minutes=1)},
        {"device_id": "will be", "fitted_at": now + day, "removed_at": None},
        {"device_id": "never", "fitted_at": now - day, "removed_at": None, "void": True},
    ]
    body = [
        {
            **fitting,
            "activation_id": fitting["device_id"],
            "wearer_reference": "W",
            "fitted_at": str(fitting["fitted_at"]),
            "removed_at": fitting["removed_at"] and str(fitting["removed_at"]),
        }
        for fitting in fittings
    ]
    assert (await service.post("/v1/activations", json=body, headers=key)).json()["stored"] == 4
    return key


async def test_a_device_says_who_wears_it_now(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    devices = (await service.get("/v1/devices", headers=gps)).json()["devices"]
    worn_by = {device["device_id"]: device["worn_by"] and device["worn_by"]["reference"] for device in devices}
    assert worn_by == {"worn": "W", "was": None, "will be": None, "never": None}


async def test_the_unassigned_can_be_asked_for_alone(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    devices = (await service.get("/v1/devices", params={"unassigned": "true"}, headers=gps)).json()["devices"]
    assert {device["device_id"] for device in devices} == {"was", "will be", "never"}


async def test_pages_lead_on_by_link_until_the_last(service: httpx.AsyncClient, gps: dict[str, str]) -> None:
    seen: list[str] = []
    address = "/v1/devices?limit=1&unassigned=true"
    while address:
        answer = await service.get(address, headers=gps)
        seen += [device["device_id"] for device in answer.json()["devices"]]
        address = answer.links.get("next", {}).get("url", "")
    assert sorted(seen) == ["never", "was", "will be"]


async def test_another_contractors_devices_are_not_seen(
    service: httpx.AsyncClient, gps: dict[str, str], make_key: MakeKey
) -> None:
    assert gps
    other = await make_key("other", "contractor", "devices:read")
    assert (await service.get("/v1/devices", headers=other)).json() == {"devices": [], "next": None}
