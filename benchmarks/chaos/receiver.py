"""Receivers of webhooks that misbehave, and their organisation, which looks after its endpoints."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any, Final, NamedTuple

import httpx
import msgspec

from app.failure import Failure
from app.running import HOST
from benchmarks.patient_client import PatientClient

ENDPOINTS: Final = 3
_BAD_SHARE: Final = 0.05  # each costs the endpoint a pause of some seconds
# How requests are answered badly, and how often in comparison.
_BAD: Final = {
    "refused": 4,
    "busy": 2,
    "redirected": 1,
    "dropped": 3,  # after it was read, without an answer
    "dropped late": 2,  # in the middle of an answer
    "gone": 1,  # the endpoint is disabled
}
_HEADS: Final = {
    "well": b"HTTP/1.1 204 No Content\r\n\r\n",
    "refused": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "busy": b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
    "redirected": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    "gone": b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    "dropped late": b"HTTP/1.1 204 No Content\r\n",
}
_LOOK_AFTER_S: Final = 1.0
_PATIENCE_S: Final = 300.0
_WAITING: Final = {"state": "waiting", "limit": "1000"}


class Received(NamedTuple):
    """A request that was read whole."""

    endpoint: int
    event_id: str
    alert_id: str
    position: int
    body: bytes
    was_acknowledged: bool


class Receivers:
    """All receivers of a run, at one port, told apart by the path; what they got, in order."""

    def __init__(self, draw: Random) -> None:
        self.received = list[Received]()
        self.answers = Counter[str]()
        self.is_peaceful = False
        self.wrong_paths = 0  # a redirect that was followed, among others
        self.port = 0
        self._draw = draw

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Receive for the block."""
        server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    def url(self, endpoint: int) -> str:
        """Where one of them receives."""
        return f"http://{HOST}:{self.port}/hook/{endpoint}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A sender that is killed breaks off anywhere.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length:")
                )
                await self._answer(head, await reader.readexactly(length), writer)
        finally:
            writer.close()

    async def _answer(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ", 2)[1]
        if not path.startswith("/hook/"):
            self.wrong_paths += 1
            return
        answer = self._draw_answer()
        event: Any = msgspec.json.decode(body)
        received = Received(
            int(path.removeprefix("/hook/")),
            event["id"],
            event["data"]["alert_id"],
            event["data"]["position"],
            body,
            answer == "well",
        )
        self.received.append(received)
        self.answers[answer] += 1
        if answer in _HEADS:
            writer.write(_HEADS[answer])
            await writer.drain()

    def _draw_answer(self) -> str:
        if self.is_peaceful or self._draw.random() > _BAD_SHARE:
            return "well"
        return self._draw.choices(list(_BAD), list(_BAD.values()))[0]


class Owner:
    """The organisation of the endpoints: makes them, enables what is disabled, and asks for what is overdue."""

    def __init__(self, address: str, key: str, receivers: Receivers) -> None:
        self._address, self._key, self._receivers = address, key, receivers
        self.endpoint_ids = list[int]()

    async def make_endpoints(self) -> None:
        """Make as many as there are receivers, each of which gets everything."""
        async with PatientClient(self._address, self._key) as client:
            for endpoint in range(ENDPOINTS):
                body = msgspec.json.encode({"url": self._receivers.url(endpoint)})
                self.endpoint_ids.append((await client.post("/v1/endpoints", body))["endpoint_id"])

    def _client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"}
        return httpx.AsyncClient(base_url=self._address, headers=headers, timeout=30.0)

    async def look_after(self) -> None:
        """Enable again what was disabled by a 410, until cancelled."""
        async with self._client() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    page = await client.get("/v1/endpoints")
                    for endpoint in page.json()["endpoints"] if page.is_success else []:
                        if not endpoint["is_enabled"]:
                            await client.patch(f"/v1/endpoints/{endpoint['endpoint_id']}", json={"is_enabled": True})
                await asyncio.sleep(_LOOK_AFTER_S)

    async def wait_until_delivered(self) -> None:
        """Ask again for what rests, until nothing waits any more. Raises Failure if that takes too long."""
        deadline_s = time.monotonic() + _PATIENCE_S
        looks = 0  # at which nothing waited; after the first, something may be routed yet
        async with self._client() as client:
            while looks < 2:
                waiting = (await client.get("/v1/deliveries", params=_WAITING)).json()["deliveries"]
                looks = 0 if waiting else looks + 1
                if waiting and time.monotonic() > deadline_s:
                    raise Failure(f"webhooks still wait, one of them after {waiting[0]['last_error']}")
                for delivery in waiting:
                    if delivery["attempts"]:
                        await client.post(f"/v1/deliveries/{delivery['delivery_id']}/retry")
                await asyncio.sleep(_LOOK_AFTER_S)
