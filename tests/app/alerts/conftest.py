"""One alert about one wearer, and the people who may see it."""

from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest

from app.db import Pool
from tests.app.conftest import MakeKey
from tests.app.matching.world import Fix, World

Json = Any

INSIDE = (Fix(-60, 500), Fix(0, 20), Fix(60, 30), Fix(120, 600))


class Case(NamedTuple):
    """An alert, the world in which it was raised, and a key of its force."""

    world: World
    service: httpx.AsyncClient
    kent: dict[str, str]
    alert_id: UUID
    device_id: int

    @property
    def path(self) -> str:
        return f"/v1/alerts/{self.alert_id}"

    async def alert(self) -> Json:
        answer = await self.service.get(self.path, headers=self.kent)
        assert answer.headers["etag"] == answer.json()["etag"]
        return answer.json()

    async def decide(self, decision: str = "explained", etag: str | None = None, **changes: Json) -> httpx.Response:
        """Decide on the alert as it stands, or as `etag` says that it was seen; `headers` go with it."""
        headers = self.kent | {"If-Match": etag or (await self.alert())["etag"]} | changes.pop("headers", {})
        body = {"decision": decision, "reason": "other", "text": "because", "decided_by": "PC Moore", **changes}
        return await self.service.post(f"{self.path}/decisions", json=body, headers=headers)

    async def decisions(self) -> Json:
        return (await self.service.get(f"{self.path}/decisions", headers=self.kent)).json()["decisions"]

    async def patch(self, etag: str | None = None, **body: Json) -> httpx.Response:
        headers = self.kent | {"If-Match": etag or (await self.alert())["etag"]}
        return await self.service.patch(self.path, json={"by": "PC Moore", **body}, headers=headers)

    async def revise(self) -> None:
        await self.world.pings(self.device_id, Fix(30, 5))
        await self.world.settle()

    async def withdraw(self) -> None:
        await self.world.crime("C1", is_withdrawn=True)
        await self.world.settle()

    async def reopen(self) -> None:
        await self.world.crime("C1")
        await self.world.settle()

    async def audited(self) -> list[tuple[str, int]]:
        """Actions and the number of wearers that they name, in order."""
        rows = await self.world.pool.fetch("SELECT action, wearer_ids FROM audit_event ORDER BY audit_event_id")
        return [(row["action"], len(row["wearer_ids"])) for row in rows]


@pytest.fixture
async def case(pool: Pool, service: httpx.AsyncClient, make_key: MakeKey) -> Case:
    world = World(pool)
    await world.found()
    device_id, _ = await world.worn_device("W1")
    await world.pings(device_id, *INSIDE)
    await world.crime("C1")
    await world.settle()
    kent = await make_key("Kent", "force", "alerts:read", "alerts:decide", "admin")
    alert_id = await pool.fetchval("SELECT alert_id FROM alert")
    return Case(world, service, kent, alert_id, device_id)
