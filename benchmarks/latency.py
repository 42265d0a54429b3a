"""`python -m benchmarks latency`: from an accepted ping, and from a posted incident, to its alert on the stream."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Annotated, Any, Final, NamedTuple

import httpx
import msgspec
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from app.demo.listener import Ear, Event, listening
from app.failure import Failure
from app.times import to_datetime
from benchmarks.deliveries import as_arrow, send, serial
from benchmarks.idle import wait_until_idle
from benchmarks.ingest import fit
from benchmarks.machine import describe_machine
from benchmarks.minute_fixes import DAY_US, ROW, Rows
from benchmarks.parties import FORCE, Keys
from benchmarks.patient_client import PatientClient
from benchmarks.service_process import own_state_dir, prepare, serving

_TICK_S: Final = 0.1
_RECORDS_A_BODY: Final = 1_000
_HEARD_WITHIN_S: Final = 30.0
_E7_A_KM: Final = 90_000
_VISIT_MINUTES: Final = 12

_console = Console(stderr=True)


class Plan(NamedTuple):
    """Who lives where, and which of them come past an incident's place or were at one yesterday."""

    home_e7: NDArray[np.int64]  # (devices, 2), longitude and latitude
    passing: NDArray[np.int64]  # (K,), devices that come past a place, one after the other
    place_e7: NDArray[np.int64]  # (K, 2)
    visitors: NDArray[np.int64]  # (V,), devices that were at a place of their own yesterday
    visited_e7: NDArray[np.int64]  # (V, 2)


def latency(
    *,
    seconds: Annotated[float, typer.Option(min=5, help="How long pings are sent.")] = 60.0,
    pings_per_s: Annotated[int, typer.Option(min=100, help="How many a second.")] = 5_000,
    incidents: Annotated[int, typer.Option(min=10, help="Open incidents.")] = 3_000,
    passing: Annotated[int, typer.Option(min=5, help="Of them, those that somebody comes past meanwhile.")] = 600,
    posted: Annotated[int, typer.Option(min=5, help="Incidents that are posted later, where somebody was.")] = 100,
    history_days: Annotated[int, typer.Option(min=1, max=90, help="History stored for each of those people.")] = 28,
    seed: Annotated[int, typer.Option(help="What everything is drawn from.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Send pings as they come, ten batches a second, with incidents open, and listen to the stream.

    Ping to alert: from the acknowledgement of the batch with the first ping inside to the event, by the profile
    `radius-100m`. Incident to alert: from posting it to the event, by the profile `standard`, while the pings go on.
    Client, service and database share the machine. Exit 1: an alert was not heard.
    """
    machine = describe_machine()
    plan = _plan(np.random.default_rng(seed), pings_per_s * 4, incidents, passing, posted)
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        with serving(state_dir, keys.force) as service:
            measured = asyncio.run(
                _measure(service.address, keys, plan, seconds, pings_per_s, incidents, history_days, seed)
            )
    result = {**measured, "seed": seed, **machine}
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    raise typer.Exit(0 if not measured["unheard"] else 1)


def _plan(rng: np.random.Generator, devices: int, incidents: int, passing: int, posted: int) -> Plan:
    if passing > incidents or passing + posted > devices:
        raise Failure("there are fewer incidents, or tags, than people who come past them")
    home_e7 = np.column_stack(
        [rng.integers(-25_000_000, 5_000_000, devices), rng.integers(508_000_000, 548_000_000, devices)]
    )
    chosen = rng.permutation(devices)[: passing + posted]
    away_e7 = rng.integers(2 * _E7_A_KM, 3 * _E7_A_KM, (passing + posted, 2))
    place_e7 = home_e7[chosen] + away_e7
    return Plan(home_e7, chosen[:passing], place_e7[:passing], chosen[passing:], place_e7[passing:])


async def _measure(
    address: str,
    keys: Keys,
    plan: Plan,
    seconds: float,
    pings_per_s: int,
    incidents: int,
    history_days: int,
    seed: int,
) -> dict[str, Any]:
    rng = np.random.default_rng(seed + 1)
    ears = httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {keys.force}"}, timeout=60)
    async with PatientClient(address, keys.contractor) as contractor, PatientClient(address, keys.force) as force, ears:
        now_us = time.time_ns() // 1_000
        _say("storing history")
        await fit(contractor, len(plan.home_e7), now_us - (history_days + 2) * DAY_US)
        history = _history(plan, now_us, history_days, rng)
        await send(contractor, (as_arrow(rows) for rows in history), lambda _: None)
        _say("reporting incidents")
        await _report_open(force, plan, incidents, now_us, rng)
        await wait_until_idle(force, lambda _: None)
        async with listening(ears) as ear:
            _say("sending")
            load = Load(contractor, plan, pings_per_s, seconds, rng)
            sending = asyncio.create_task(load.run())
            await asyncio.sleep(seconds / 2)
            posted_s = await _post(force, plan, now_us, seconds / 2)
            await sending
            await ear.wait_until_raised(len(plan.passing) + len(plan.visitors), _HEARD_WITHIN_S)
            return _result(ear, load, posted_s, plan)


def _history(plan: Plan, now_us: int, days: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Minute fixes at home, but for twelve minutes of last night; an hour of everybody in each batch."""
    first_us = (now_us // DAY_US - days) * DAY_US
    visit_us = _visit_from_us(now_us)
    for hour in range(days * 24 - 1):
        at_us = first_us + hour * 3_600_000_000 + np.arange(60) * 60_000_000
        is_visit = (at_us >= visit_us) & (at_us < visit_us + _VISIT_MINUTES * 60_000_000)
        where = np.where(is_visit[:, None, None], plan.visited_e7, plan.home_e7[plan.visitors])
        yield _rows(np.tile(plan.visitors, 60), np.repeat(at_us, plan.visitors.size), where.reshape(-1, 2), rng)


def _visit_from_us(now_us: int) -> int:
    return (now_us // DAY_US - 1) * DAY_US + 2 * 3_600_000_000


def _rows(device: NDArray[np.int64], at_us: NDArray[np.int64], e7: NDArray[np.int64], rng: np.random.Generator) -> Rows:
    rows = np.zeros(device.size, ROW)
    rows["device_id"] = device + 1
    rows["fixed_at"] = at_us.view("M8[us]")
    rows["source"] = 1
    rows["lon_e7"] = e7[:, 0] + rng.normal(0, 300, device.size)
    rows["lat_e7"] = e7[:, 1] + rng.normal(0, 300, device.size)
    rows["accuracy_cm"] = 800
    return rows


async def _report_open(force: PatientClient, plan: Plan, incidents: int, now_us: int, rng: np.random.Generator) -> None:
    others = plan.home_e7[rng.integers(0, len(plan.home_e7), incidents - len(plan.passing))] + 5 * _E7_A_KM
    records = [
        _record(f"open/{number}", place, now_us - 3_600_000_000, now_us + 3_600_000_000, "radius-100m")
        for number, place in enumerate(np.concatenate([plan.place_e7, others]).tolist())
    ]
    for start in range(0, incidents, _RECORDS_A_BODY):
        await force.post("/v1/incidents", msgspec.json.encode(records[start : start + _RECORDS_A_BODY]))


async def _post(force: PatientClient, plan: Plan, now_us: int, seconds: float) -> dict[str, float]:
    """Post an incident after the other; gives when each was on its way."""
    posted_s = {}
    from_us = _visit_from_us(now_us)
    for number, place in enumerate(plan.visited_e7.tolist()):
        record = _record(f"posted/{number}", place, from_us, from_us + _VISIT_MINUTES * 60_000_000, "standard")
        posted_s[record["reference"]] = time.perf_counter()
        await force.post("/v1/incidents", msgspec.json.encode(record))
        await asyncio.sleep(seconds / len(plan.visited_e7))
    return posted_s


def _record(reference: str, place_e7: list[int], from_us: int, to_us: int, profile: str) -> dict[str, Any]:
    return {
        "force": FORCE,
        "reference": reference,
        "offence": "BIAD",
        "from": to_datetime(from_us).isoformat(),
        "to": to_datetime(to_us).isoformat(),
        "lon": place_e7[0] / 1e7,
        "lat": place_e7[1] / 1e7,
        "profile": profile,
    }


class Load:
    """Pings as they come: every tag in turn is at home, but for those whose turn it is to be at a place."""

    def __init__(
        self, client: PatientClient, plan: Plan, pings_per_s: int, seconds: float, rng: np.random.Generator
    ) -> None:
        self._client, self._plan, self._rng = client, plan, rng
        self._ticks = round(seconds / _TICK_S)
        self._batch = round(pings_per_s * _TICK_S)
        self._next = 0
        self.accepted_s: dict[str, float] = {}  # when the ping at the place was acknowledged, by tag
        self.sent_s: dict[str, float] = {}
        self.sent = 0
        self.seconds = 0.0

    async def run(self) -> None:
        """Send a batch every tenth of a second, whether the one before is acknowledged or not."""
        began_s = time.perf_counter()
        visits = np.array_split(np.arange(self._plan.passing.size), self._ticks)
        async with asyncio.TaskGroup() as sending:
            for tick, visiting in enumerate(visits):
                await asyncio.sleep(max(0.0, began_s + tick * _TICK_S - time.perf_counter()))
                sending.create_task(self._send(visiting))
        self.seconds = time.perf_counter() - began_s

    async def _send(self, visiting: NDArray[np.int64]) -> None:
        devices = len(self._plan.home_e7)
        device = np.arange(self._next, self._next + self._batch) % devices
        self._next = (self._next + self._batch) % devices
        at_place = self._plan.passing[visiting]
        device = np.concatenate([np.setdiff1d(device, at_place), at_place])
        e7 = self._plan.home_e7[device]
        e7[device.size - at_place.size :] = self._plan.place_e7[visiting]
        rows = _rows(device, np.full(device.size, time.time_ns() // 1_000), e7, self._rng)
        delivery = as_arrow(rows)
        sent_s = time.perf_counter()
        await self._client.post("/v1/pings", delivery.content, delivery.media_type)
        accepted_s = time.perf_counter()
        for tag in at_place.tolist():
            self.sent_s[serial(tag + 1)], self.accepted_s[serial(tag + 1)] = sent_s, accepted_s
        self.sent += rows.size


def _result(ear: Ear, load: Load, posted_s: dict[str, float], plan: Plan) -> dict[str, Any]:
    raised = [event for event in ear.events if event.kind == "alert.raised"]
    passed = {_wearer(event): event.heard_s for event in raised if _incident(event).startswith("open/")}
    posted = {_incident(event): event.heard_s for event in raised if _incident(event).startswith("posted/")}
    heard = load.accepted_s.keys() & passed.keys()
    from_ack = [passed[tag] - load.accepted_s[tag] for tag in heard]
    from_sent = [passed[tag] - load.sent_s[tag] for tag in heard]
    from_posted = [posted[reference] - at_s for reference, at_s in posted_s.items() if reference in posted]
    return {
        **_percentiles("ping", from_ack),
        **_percentiles("ping_from_sending", from_sent),
        **_percentiles("incident", from_posted),
        "achieved_pings_per_s": round(load.sent / load.seconds),
        "ping_alerts": len(from_ack),
        "incident_alerts": len(from_posted),
        "unheard": len(plan.passing) - len(from_ack) + len(posted_s) - len(from_posted),
    }


def _incident(event: Event) -> str:
    return str(event.alert["incident"]["reference"])


def _wearer(event: Event) -> str:
    return str(event.alert["wearer"]["reference"])


def _percentiles(name: str, seconds: list[float]) -> dict[str, float | None]:
    if not seconds:
        return {f"{name}_p50_ms": None, f"{name}_p99_ms": None}
    p50, p99 = np.percentile(np.array(seconds) * 1_000, [50, 99])
    return {f"{name}_p50_ms": round(float(p50), 1), f"{name}_p99_ms": round(float(p99), 1)}


def _say(words: str) -> None:
    if _console.is_terminal:
        _console.print(words, highlight=False)
