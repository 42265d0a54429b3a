"""Clients that send a plan, decide on alerts and listen to the stream, and keep their own log of acknowledgements."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import msgspec

from app.failure import Failure
from benchmarks.chaos.plan import Plan, Record, Step
from benchmarks.parties import Keys
from benchmarks.patient_client import PatientClient

_SENDERS = 3  # of pings
_PAUSE_S = 0.2
_IDLE_POLL_S = 0.25
_STUCK_S = 180.0
_WAITING = ("batches", "arrivals", "rejoins", "due", "undispatched")


class Heard(NamedTuple):
    """An event of the stream."""

    position: int
    kind: str
    alert_id: str
    revision: int


class Log:
    """What clients were told: each entry stands for an answer that came."""

    def __init__(self) -> None:
        self.pings: list[Record] = []
        self.incidents: list[tuple[str, int]] = []  # reference and version
        self.activations: list[tuple[str, int]] = []  # reference and revision
        self.events: list[tuple[str, int]] = []
        self.decisions: list[tuple[str, str, str]] = []  # id, alert and text
        self.heard: list[Heard] = []


class Callers:
    """Everybody who calls one of the services; `pace_s` is how long the plan is to take, None: no waiting."""

    def __init__(
        self, plan: Plan, addresses: list[str], keys: Keys, pace_s: float | None, tell: Callable[[float], None]
    ) -> None:
        self._plan, self._keys, self._pace_s, self._tell = plan, keys, pace_s, tell
        self._addresses = cycle(addresses)
        self.log = Log()
        self._sent = 0
        self._began_s = time.monotonic()

    async def send_all(self) -> None:
        """Send the plan, each body until it is acknowledged. Raises Failure for an answer that refuses a body."""
        self._began_s = time.monotonic()
        batches = iter(self._plan.pings)
        async with asyncio.TaskGroup() as senders:
            for _ in range(_SENDERS):
                senders.create_task(self._send(batches, self._keys.contractor))
            senders.create_task(self._send(iter(self._plan.contractor), self._keys.contractor))
            senders.create_task(self._send(iter(self._plan.force), self._keys.force))

    async def _send(self, steps: Iterator[Step], key: str) -> None:
        async with PatientClient(next(self._addresses), key) as client:
            for step in steps:
                if self._pace_s is not None:
                    await asyncio.sleep(max(0.0, self._began_s + step.at * self._pace_s - time.monotonic()))
                answer = await client.post(step.path, msgspec.json.encode(step.records))
                if answer["rejected"]:
                    raise Failure(f"POST {step.path}: {answer['errors'][0]}")
                self._note(step, answer)

    def _note(self, step: Step, answer: Any) -> None:  # noqa: ANN401 - JSON
        match step.path:
            case "/v1/pings":
                self.log.pings += step.records
                self._sent += 1
                self._tell(self._sent / len(self._plan.pings))
            case "/v1/activations":
                self.log.activations += [(a["activation_id"], a["revision"]) for a in answer["activations"]]
            case "/v1/device-events":
                self.log.events += [(e["event_id"], e["revision"]) for e in answer["events"]]
            case "/v1/incidents":
                self.log.incidents += [(i["reference"], i["version"]) for i in answer["incidents"]]

    async def decide(self) -> None:
        """Decide on new alerts, one after the other, until cancelled."""
        headers = {"Authorization": f"Bearer {self._keys.force}"}
        async with httpx.AsyncClient(base_url=next(self._addresses), headers=headers, timeout=30.0) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    page = await client.get("/v1/alerts", params={"state": "new", "limit": "5"})
                    for alert in page.json()["alerts"] if page.is_success else []:
                        await self._decide(client, alert)
                await asyncio.sleep(_PAUSE_S)

    async def _decide(self, client: httpx.AsyncClient, alert: Record) -> None:
        """Post a decision until it is acknowledged, or refused because the alert has changed meanwhile."""
        text = f"Decided on revision {alert['revision']} as {uuid4()}."
        body = {"decision": "explained", "reason": "usual_route", "text": text, "decided_by": "PC 1 Moore"}
        headers = {"If-Match": alert["etag"], "Idempotency-Key": str(uuid4())}
        path = f"/v1/alerts/{alert['alert_id']}/decisions"
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.post(path, json=body, headers=headers)
                if answer.is_success:
                    self.log.decisions.append((answer.json()["decision_id"], alert["alert_id"], text))
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    return
            await asyncio.sleep(_PAUSE_S)

    async def listen(self) -> None:
        """Listen to the stream from its beginning, and from where it broke off at another service, until cancelled."""
        headers = {"Authorization": f"Bearer {self._keys.force}"}
        async with httpx.AsyncClient(headers=headers, timeout=20.0) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    last = {"Last-Event-ID": str(self.log.heard[-1].position if self.log.heard else 0)}
                    url = f"{next(self._addresses)}/v1/alerts/stream"
                    async with client.stream("GET", url, headers=last) as answer:
                        if answer.is_success:
                            await self._take(answer)
                await asyncio.sleep(_PAUSE_S)

    async def _take(self, answer: httpx.Response) -> None:
        fields = dict[str, str]()
        async for line in answer.aiter_lines():
            if line:
                name, _, text = line.partition(": ")
                fields[name] = text
                continue
            if "id" in fields:  # whole, and no sign of life
                alert = json.loads(fields["data"])
                kind = fields["event"].removeprefix("alert.")
                self.log.heard.append(Heard(int(fields["id"]), kind, alert["alert_id"], alert["revision"]))
            fields.clear()

    async def wait_until_idle(self) -> None:
        """Return when nothing waits to be matched or told. Raises Failure if it does not get on."""
        async with PatientClient(next(self._addresses), self._keys.force) as force:
            least, since_s = 1 << 62, time.monotonic()
            while True:
                matcher = (await force.get("/health/readiness"))["matcher"]
                waiting = sum(matcher[kind] for kind in _WAITING)
                if not waiting:
                    return
                if waiting < least:
                    least, since_s = waiting, time.monotonic()
                elif time.monotonic() - since_s > _STUCK_S:
                    raise Failure(f"the matcher does not get on: {matcher}")
                await asyncio.sleep(_IDLE_POLL_S)
