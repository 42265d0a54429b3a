"""An offender manager's ear: the stream of alerts as server-sent events, each with the moment it was heard."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import msgspec


class Event(NamedTuple):
    """One event of `/v1/alerts/stream`."""

    heard_s: float  # time.perf_counter()
    position: str
    kind: str
    alert: dict[str, Any]


class Ear:
    """What was heard so far, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    @property
    def raised(self) -> int:
        """How many alerts were raised."""
        return sum(event.kind == "alert.raised" for event in self.events)

    def take(self, event: Event) -> None:
        """Hear one more."""
        self.events.append(event)
        self._news.set()

    async def wait_until_raised(self, count: int, timeout_s: float) -> None:
        """Return once `count` alerts were raised, or after the time at the latest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.raised < count:
                    self._news.clear()
                    await self._news.wait()


@contextlib.asynccontextmanager
async def listening(client: httpx.AsyncClient) -> AsyncIterator[Ear]:
    """Hear every alert of the block. Raises httpx's errors at its end if the stream was refused or broke."""
    ear, connected = Ear(), asyncio.Event()
    task = asyncio.create_task(_listen(client, ear, connected))
    waiting = asyncio.create_task(connected.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield ear
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _listen(client: httpx.AsyncClient, ear: Ear, connected: asyncio.Event) -> None:
    # No time limit: a stream is silent as long as nothing happens.
    async with client.stream("GET", "/v1/alerts/stream", timeout=None) as answer:
        answer.raise_for_status()
        connected.set()
        async for event in _events(answer):
            ear.take(event)


async def _events(answer: httpx.Response) -> AsyncIterator[Event]:
    """Read the event stream format: fields line by line, an empty line ends an event, a comment has no field name."""
    fields = dict[str, str]()
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = fields[name] + "\n" + value.removeprefix(" ") if name in fields else value.removeprefix(" ")
        elif "data" in fields:
            yield Event(
                time.perf_counter(), fields.get("id", ""), fields.get("event", ""), msgspec.json.decode(fields["data"])
            )
            fields = {}
        else:
            fields = {}
