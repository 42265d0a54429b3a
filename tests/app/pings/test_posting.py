"""POST /v1/pings over real HTTP."""

import httpx

from app.db import Connection
from tests.app.pings.conftest import ping, stored_pings

AT_US = 1_709_285_400_000_000


async def test_a_ping_is_stored_in_fixed_point(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    full = ping(accuracy_m=8.5, speed_mps=1.25, direction_deg=270.5, source="gps")
    answer = await service.post("/v1/pings", json=[full, ping(device_id="B2")], headers=key)
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert (receipt["accepted"], receipt["duplicates"], receipt["conflicts"], receipt["rejected"]) == (2, 0, 0, 0)
    assert await stored_pings(connection) == [
        ("A1", AT_US, 1, -25_879_000, 514_545_000, 850, 125, 27_050),
        ("B2", AT_US, 0, -25_879_000, 514_545_000, -1, -1, -1),
    ]


async def test_the_same_batch_again_is_all_duplicates(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    batch = [ping(), ping(device_id="B2"), ping(source="gps")]
    await service.post("/v1/pings", json=batch, headers=key)
    before = await stored_pings(connection)
    receipt = (await service.post("/v1/pings", json=batch, headers=key)).json()
    assert (receipt["accepted"], receipt["duplicates"], receipt["conflicts"]) == (0, 3, 0)
    assert await stored_pings(connection) == before
