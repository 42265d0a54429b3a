"""`python -m benchmarks overload`: pings from more senders than there is room for, and what becomes of the rest."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import httpx
import msgspec
import numpy as np
import typer

from app.db import connect
from app.postgres import running_postgres
from app.running import Service
from app.times import to_datetime
from benchmarks.deliveries import Delivery, as_arrow
from benchmarks.idle import wait_until_idle
from benchmarks.ingest import fit
from benchmarks.machine import describe_machine
from benchmarks.memory import metering
from benchmarks.minute_fixes import DAY_US, MINUTES_A_DAY, minute_fixes
from benchmarks.parties import FORCE, Keys
from benchmarks.patient_client import PatientClient
from benchmarks.service_process import own_state_dir, prepare, serving

_BODY_PINGS: Final = 20_000
_SENDERS: Final = 100
_LOOK_S: Final = 0.25
_CRIME_EVERY_S: Final = 2.0
_FITTED_BEFORE_US: Final = 30 * DAY_US


def overload(
    *,
    pings: Annotated[int, typer.Option(min=100_000, help="How many are sent, as Arrow, 20,000 in a body.")] = 6_000_000,
    seed: Annotated[int, typer.Option(help="What trails are drawn from.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Send pings from a hundred senders at once, none of which waits, and report a crime every two seconds meanwhile.

    Whoever is answered 429 comes again after `Retry-After`. What was acknowledged is counted in the database
    afterwards. Exit 1 if a ping is lost, a crime's alert does not come, the service is not ready at any time, or
    anything is answered but 200 and 429.
    """
    machine = describe_machine()
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        with (
            serving(state_dir, keys.force) as service,
            metering(service.process.pid) as meter,
            running_postgres(state_dir) as server,
        ):
            flood = Flood(service, keys, pings, seed)
            asyncio.run(flood.run())
            stored = asyncio.run(_count(server.url()))
        peak = meter.peak
    result = flood.result() | {
        "lost": flood.accepted - stored,
        "peak_rss_mb": peak.service_mb,
        "postgres_peak_rss_mb": peak.postgres_mb,
        "seed": seed,
        **machine,
    }
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    is_well = not (result["lost"] or result["other_answers"] or result["not_ready"] or result["crimes_unanswered"])
    raise typer.Exit(0 if is_well else 1)


class Flood:
    """The senders, the crimes in between, and what was seen."""

    def __init__(self, service: Service, keys: Keys, pings: int, seed: int) -> None:
        self._address, self._keys = service.address, keys
        self._day = int(datetime.now(UTC).timestamp() * 1e6) // DAY_US - 2
        self._rows = minute_fixes(-(-pings // MINUTES_A_DAY), self._day, np.random.default_rng(seed))[:pings]
        self._is_over = asyncio.Event()
        self._reported = dict[str, float]()  # when each crime was posted
        self._alerted = dict[str, float]()  # after how long its alert came
        self.answers = Counter[int]()
        self.accepted = self.broken_off = 0
        self.not_ready = 0
        self.most_batches = 0
        self.most_lag_s = 0.0
        self.sending_s = self.drain_s = 0.0

    async def run(self) -> None:
        """Send everything, and wait until it is matched."""
        bodies = [as_arrow(self._rows[start : start + _BODY_PINGS]) for start in range(0, self._rows.size, _BODY_PINGS)]
        async with (
            PatientClient(self._address, self._keys.contractor) as contractor,
            PatientClient(self._address, self._keys.force) as force,
        ):
            await fit(contractor, int(self._rows["device_id"].max()), self._day * DAY_US - _FITTED_BEFORE_US)
            # Where crimes are reported later: stored and matched before everything else comes.
            await contractor.post("/v1/pings", bodies[0].content, bodies[0].media_type)
            self.accepted += bodies[0].pings
            await wait_until_idle(force, lambda _: None)
            others = [asyncio.create_task(each) for each in (self._look(), self._report(force), self._listen())]
            began_s = time.perf_counter()
            await self._send_all(iter(bodies[1:]))
            self.sending_s = time.perf_counter() - began_s
            self._is_over.set()
            await wait_until_idle(force, lambda _: None)
            self.drain_s = time.perf_counter() - began_s - self.sending_s
            await others[1]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(others[2], 30.0)
            others[0].cancel()

    async def _send_all(self, bodies: Iterator[Delivery]) -> None:
        headers = {"Authorization": f"Bearer {self._keys.contractor}"}
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(base_url=self._address, headers=headers, timeout=300.0, limits=limits) as client,
            asyncio.TaskGroup() as senders,
        ):
            for _ in range(_SENDERS):
                senders.create_task(self._send(client, bodies))

    async def _send(self, client: httpx.AsyncClient, bodies: Iterator[Delivery]) -> None:
        for body in bodies:
            answer = await self._post(client, body)
            if answer.is_success:  # stored now, or before an answer that did not come
                self.accepted += answer.json()["accepted"] + answer.json()["duplicates"]

    async def _post(self, client: httpx.AsyncClient, body: Delivery) -> httpx.Response:
        """Post until there is an answer that does not ask to come again."""
        while True:
            try:
                answer = await client.post("/v1/pings", content=body.content, headers={"Content-Type": body.media_type})
            except httpx.TransportError:  # most often an idle connection that was closed as it was to be used again
                self.broken_off += 1
                continue
            self.answers[answer.status_code] += 1
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    async def _look(self) -> None:
        """See how much waits, until cancelled."""
        headers = {"Authorization": f"Bearer {self._keys.force}"}
        async with httpx.AsyncClient(base_url=self._address, headers=headers, timeout=60.0) as client:
            while True:
                answer = await client.get("/health/readiness")
                self.not_ready += not answer.is_success
                matcher = answer.json().get("matcher", {})
                self.most_batches = max(self.most_batches, matcher.get("batches", 0))
                self.most_lag_s = max(self.most_lag_s, matcher.get("oldest_s", 0.0))
                await asyncio.sleep(_LOOK_S)

    async def _report(self, force: PatientClient) -> None:
        """Report a crime where somebody was, again and again, until everything is sent."""
        first = self._rows[:_BODY_PINGS]
        number = 0
        while not self._is_over.is_set():
            row = first[number * 37 % first.size]
            at = to_datetime(int(row["fixed_at"].astype(np.int64))).isoformat()
            reference = f"C{number:05d}"
            crime = {
                "force": FORCE,
                "reference": reference,
                "offence": "BIAD",
                "profile": "radius-100m",
                "from": at,
                "to": at,
                "lon": int(row["lon_e7"]) / 1e7,
                "lat": int(row["lat_e7"]) / 1e7,
            }
            self._reported[reference] = time.perf_counter()
            await force.post("/v1/incidents", msgspec.json.encode([crime]))
            number += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_over.wait(), _CRIME_EVERY_S)

    async def _listen(self) -> None:
        """Note when the alerts of reported crimes come, until none is missing and no crime comes any more."""
        headers = {"Authorization": f"Bearer {self._keys.force}"}
        async with (
            httpx.AsyncClient(base_url=self._address, headers=headers, timeout=120.0) as client,
            client.stream("GET", "/v1/alerts/stream", params={"after": 0}) as stream,
        ):
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    reference = json.loads(line.removeprefix("data: "))["incident"]["reference"]
                    waited_s = time.perf_counter() - self._reported[reference]
                    self._alerted.setdefault(reference, waited_s)
                if self._is_over.is_set() and self._alerted.keys() == self._reported.keys():
                    return

    def result(self) -> dict[str, Any]:
        """What was seen."""
        waited_ms = np.array(sorted(self._alerted.values())) * 1000
        other = {status: n for status, n in self.answers.items() if status not in {200, 429}}
        return {
            "pings": self.accepted,
            "pings_per_s": round(self.accepted / self.sending_s),
            "stored_bodies": self.answers[200],
            "asked_to_come_again": self.answers[429],
            "other_answers": other,
            "connections_broken_off": self.broken_off,
            "not_ready": self.not_ready,
            "most_batches_waiting": self.most_batches,
            "most_lag_s": round(self.most_lag_s, 1),
            "drain_s": round(self.drain_s, 1),
            "crimes": len(self._reported),
            "crimes_unanswered": len(self._reported) - len(self._alerted),
            "crime_p50_ms": round(float(np.median(waited_ms))) if waited_ms.size else None,
            "crime_max_ms": round(float(waited_ms.max())) if waited_ms.size else None,
        }


COUNT = "SELECT count(*) FROM ping"


async def _count(url: str) -> int:
    async with connect(url) as connection:
        return int(await connection.fetchval(COUNT))
