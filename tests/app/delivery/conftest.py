"""A world outside that tests set: its clock, its names, its certificates."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from app.alerts.dispatcher import dispatch
from app.db import Pool
from app.delivery.outside import Outside
from app.delivery.routing import route
from app.delivery.webhooks import claim_endpoint, send_some
from tests.app.conftest import MakeKey
from tests.app.delivery.receivers import CERTIFICATE
from tests.app.matching.world import INSIDE, Fix, World

Json = Any


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


async def to_this_machine(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="session")
def trusting() -> ssl.SSLContext:
    """Trusts receiver.test and nobody else."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


@pytest.fixture
def outside(clock: Clock, trusting: ssl.SSLContext) -> Outside:
    """Every name leads to this machine, which is allowed."""
    return Outside(
        clock=clock,
        resolve=to_this_machine,
        draw=lambda: 0.5,
        tls=trusting,
        allowed=[ip_network("127.0.0.0/8")],
        signing_key=b"the signing key of these tests..",
        public_url="https://trailmatch.example",
        relay=None,
        answer_s=20.0,  # whoever answers at all does so in time, on a busy machine too
    )


class Town:
    """Kent with some alerts about one wearer, its endpoints, and deliveries taken step by step."""

    def __init__(self, service: httpx.AsyncClient, world: World, outside: Outside, key: dict[str, str]) -> None:
        self.service, self.world, self.outside, self.key = service, world, outside, key
        self.pool = world.pool
        self.device_id = 0
        self.wearer_id = UUID(int=0)

    async def raise_alerts(self, *references: str) -> None:
        """Report crimes where the wearer was."""
        if not self.device_id:
            self.device_id, self.wearer_id = await self.world.worn_device("W1")
            await self.world.pings(self.device_id, *INSIDE)
        for reference in references:
            await self.world.crime(reference)
        await self.world.settle()

    async def revise_all(self, seconds: float) -> None:
        """Revise every alert, by another position inside."""
        await self.world.pings(self.device_id, Fix(seconds, 5))
        await self.world.settle()

    async def withdraw(self, reference: str) -> None:
        await self.world.crime(reference, is_withdrawn=True)
        await self.world.settle()

    async def call(self, method: str, path: str, json: Json = None, **headers: str) -> httpx.Response:
        return await self.service.request(method, path, json=json, headers=self.key | headers)

    async def endpoint(self, url: str, **more: Json) -> Json:
        made = await self.call("POST", "/v1/endpoints", {"url": url, **more})
        assert made.status_code == 201, made.text
        return made.json()

    async def deliveries(self, **wanted: Json) -> Json:
        answer = await self.service.get("/v1/deliveries", params=wanted, headers=self.key)
        return answer.json()["deliveries"]

    async def route(self) -> None:
        await dispatch(self.pool)
        while await route(self.pool, self.outside.clock()):
            pass

    async def send(self) -> int:
        """Send what is due now, to one endpoint after the other; give how many were acknowledged."""
        sent = 0
        while (claimed := await claim_endpoint(self.pool, self.outside.clock())) is not None:
            sent += await send_some(self.pool, self.outside, claimed)
        return sent

    async def deliver(self) -> int:
        await self.route()
        return await self.send()

    async def alert_ids(self) -> list[UUID]:
        return [row["alert_id"] for row in await self.pool.fetch("SELECT alert_id FROM alert ORDER BY alert_seq")]

    async def placed(self) -> list[str]:
        """Ids of all events on the stream, in its order."""
        rows = await self.pool.fetch("SELECT event_id FROM outbox WHERE position IS NOT NULL ORDER BY position")
        return [str(row["event_id"]) for row in rows]


@pytest.fixture
async def town(
    pool: Pool, application: FastAPI, service: httpx.AsyncClient, make_key: MakeKey, outside: Outside
) -> Town:
    application.state.outside = outside
    world = World(pool)
    await world.found()
    return Town(service, world, outside, await make_key("Kent", "force", "alerts:read", "alerts:decide", "admin"))
