"""`python -m benchmarks nation`: a day of a whole country, or several, replayed as fast as it goes."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from app.db import connect
from app.postgres import running_postgres
from app.times import to_datetime
from benchmarks.deliveries import IN_FLIGHT, Delivery, as_arrow
from benchmarks.idle import wait_until_idle
from benchmarks.ingest import fit
from benchmarks.machine import describe_machine
from benchmarks.memory import Part, Peak, PeakMeter, metering
from benchmarks.minute_fixes import DAY_US, Rows, minute_fixes
from benchmarks.parties import FORCE, Keys
from benchmarks.past import Past, store_past
from benchmarks.patient_client import PatientClient
from benchmarks.progress import Tell, progress_bar
from benchmarks.service_process import own_state_dir, prepare, serving
from matcher.incidents import Incidents
from matcher.join import space_time_join
from matcher.trails import trails_from_columns

_BATCH_PINGS: Final = 5_000
_DAY_S: Final = 86_400
_HOURS: Final = 24
# Of the crimes so many are where and when a tag is; the others are some kilometres off everybody's way.
_PLANTED: Final = 0.15
_NEAR_M: Final = 400.0
_REPORTED_AFTER_US: Final = 3_600_000_000

# What people watch goes to stderr, so that stdout holds nothing but the result.
_console = Console(stderr=True)


class Crimes(NamedTuple):
    """N crimes of the day, by the moment of their report."""

    lon_e7: NDArray[np.int64]
    lat_e7: NDArray[np.int64]
    from_us: NDArray[np.int64]
    to_us: NDArray[np.int64]


class Day(NamedTuple):
    """What comes in a day."""

    rows: Rows  # in the order of arrival
    crimes: Crimes


class Scene(NamedTuple):
    """The days, and what is stored before they begin."""

    days: list[Day]
    past: Past

    @property
    def size(self) -> int:
        """How many pings the days have."""
        return sum(day.rows.size for day in self.days)


def nation(
    *,
    devices: Annotated[int, typer.Option(min=10, max=20_000, help="Tags that fix once a minute.")] = 12_000,
    incidents: Annotated[int, typer.Option(min=10, help="Crimes of a day.")] = 3_000,
    days: Annotated[int, typer.Option(min=1, max=30, help="Days, each when the one before is matched.")] = 1,
    history_days: Annotated[int, typer.Option(min=0, max=90, help="Before it, for each wearer near a crime.")] = 28,
    history_every_s: Annotated[int, typer.Option(min=60, help="Seconds between fixes of the history.")] = 120,
    seed: Annotated[int, typer.Option(help="What everything is drawn from.")] = 1,
    without: Annotated[bool, typer.Option(help="Once more by the profile radius-100m, without the evidence.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Send a day's pings in the order of arrival and report its crimes an hour after each, as fast as it goes.

    The days before are put into the database as sealing would have left them, before anything is timed.
    Real time is a day over the time from its first ping until nothing waits any more. Client, service and database
    share the machine. How much memory each hour takes is told at its most, which is work in hand, and at its least; and
    what is kept when nothing waits, after each day. Exit 1: pings were lost.
    """
    os.environ["TRAILMATCH_SEAL_AFTER_HOURS"] = "100000"
    machine = describe_machine()
    scene = _scene(seed, days, devices, incidents, history_days, history_every_s)
    result = _run(scene, devices, history_days, "standard")
    _console.print(f"with evidence: {result}", highlight=False)
    if without:
        result |= {f"{name}_without_evidence": value for name, value in _run(scene, devices, 0, "radius-100m").items()}
    drawn = {"days": days, "pings": scene.size, "incidents": incidents * days, "history_pings": scene.past.size}
    result |= drawn | {"seed": seed}
    typer.echo(json.dumps(result | machine) if as_json else "\n".join(f"{n:40} {v}" for n, v in result.items()))
    raise typer.Exit(0 if result["stored"] == scene.size else 1)


def _scene(seed: int, days: int, devices: int, incidents: int, history_days: int, every_s: int) -> Scene:
    rng = np.random.default_rng(seed)
    first_day = int(datetime.now(UTC).timestamp() * 1e6) // DAY_US - days
    rows = minute_fixes(devices, first_day, rng)
    played = [Day(later, _crimes(later, incidents, rng)) for later in (_later(rows, day) for day in range(days))]
    near = np.unique(np.concatenate([_near(day) for day in played]))
    first = rows[:devices]  # the minute with which a day begins, tag by tag
    home_e7 = np.column_stack([first["lon_e7"], first["lat_e7"]])[near - 1].astype(np.int64)
    hours_us = (first_day - history_days) * DAY_US + np.arange(history_days * 24) * 3_600_000_000
    return Scene(played, Past(near, home_e7, hours_us, np.arange(0, 3_600, every_s) * 1_000_000, seed))


def _later(rows: Rows, days: int) -> Rows:
    """Give the same again, some days later: everybody goes the same ways."""
    later = rows.copy()
    later["fixed_at"] += np.timedelta64(days * DAY_US, "us")
    return later


def _crimes(rows: Rows, incidents: int, rng: np.random.Generator) -> Crimes:
    at = rng.integers(0, rows.size, incidents)
    is_planted = rng.random(incidents) < _PLANTED
    spread_e7 = np.where(is_planted, 500, 400_000)
    moment_us = rows["fixed_at"][at].astype(np.int64)
    half_us = rng.integers(5, 360, incidents) * 60_000_000
    crimes = Crimes(
        rows["lon_e7"][at] + np.rint(rng.normal(0, spread_e7)).astype(np.int64),
        rows["lat_e7"][at] + np.rint(rng.normal(0, spread_e7)).astype(np.int64),
        moment_us - half_us,
        moment_us + half_us,
    )
    order = np.argsort(crimes.to_us, kind="stable")
    return Crimes(*(column[order] for column in crimes))


def _near(day: Day) -> NDArray[np.int64]:
    """Give the tags that come near a crime in its time, and may become matches."""
    rows, crimes = day
    trails = trails_from_columns(rows["device_id"], rows["fixed_at"].astype(np.int64), rows["lon_e7"], rows["lat_e7"])
    circles = Incidents(
        crimes.lon_e7 / 1e7,
        crimes.lat_e7 / 1e7,
        np.full(crimes.to_us.size, _NEAR_M),
        crimes.from_us - 900_000_000,
        crimes.to_us + 900_000_000,
    )
    return trails.device_id[np.unique(space_time_join(trails, circles).device)].astype(np.int64)


def _run(scene: Scene, devices: int, history_days: int, profile: str) -> dict[str, Any]:
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        with (
            serving(state_dir, keys.force) as service,
            metering(service.process.pid) as meter,
            running_postgres(state_dir) as server,
            progress_bar() as tell,
        ):
            stage = Stage(server.url(), service.address, keys, meter)
            measured = asyncio.run(_play(scene, stage, devices, history_days, profile, tell))
        return measured | {"peak_rss_mb": meter.peak.service_mb, "postgres_peak_rss_mb": meter.peak.postgres_mb}


class Stage(NamedTuple):
    """Where it is played: a database, the service on it, and who calls that."""

    database_url: str
    address: str
    keys: Keys
    meter: PeakMeter


async def _play(
    scene: Scene, stage: Stage, devices: int, history_days: int, profile: str, tell: Tell
) -> dict[str, Any]:
    async with (
        PatientClient(stage.address, stage.keys.contractor) as contractor,
        PatientClient(stage.address, stage.keys.force) as force,
    ):
        began_s = time.perf_counter()
        tell("fitting", 0.0)
        first_us = int(scene.days[0].rows["fixed_at"].min().astype(np.int64))
        await fit(contractor, devices, first_us - (history_days + 1) * DAY_US)
        if history_days:
            tell("storing history", 0.0)
            await store_past(stage.database_url, scene.past, lambda done: tell("storing history", done))
        await wait_until_idle(force, lambda done: tell("matching", done))
        prepared_s = time.perf_counter() - began_s
        played = list[_Played]()
        for number, day in enumerate(scene.days):
            began_s = time.perf_counter()
            hours = await _send_day(day, number, stage, contractor, force, profile, tell)
            sending_s = time.perf_counter() - began_s
            backlog = await wait_until_idle(force, lambda done: tell("matching", done))
            played.append(_Played(time.perf_counter() - began_s, sending_s, backlog, hours, _at_rest(stage.meter)))
        seconds = sum(day.seconds for day in played)
        hours = [hour for day in played for hour in day.hours]
        return {
            "times_real_time": round(len(played) * _DAY_S / seconds, 1),
            "seconds": round(seconds, 1),
            "prepared_s": round(prepared_s, 1),
            "sending_s": round(sum(day.sending_s for day in played), 1),
            "backlog_batches": max(day.backlog for day in played),  # when the last ping was sent; then nothing waits
            "stored": await _count_stored(stage.database_url, first_us),
            "rss_mb_by_hour": [hour.most.service_mb for hour in hours],
            "least_rss_mb_by_hour": [hour.least.service_mb for hour in hours],
            "postgres_rss_mb_by_hour": [hour.most.postgres_mb for hour in hours],
            "rss_mb_at_rest_by_day": [day.at_rest.service_mb for day in played],
            "postgres_rss_mb_at_rest_by_day": [day.at_rest.postgres_mb for day in played],
            "matches": len(await force.get_all("matches")),
            "alerts": len(await force.get_all("alerts")),
        }


class _Played(NamedTuple):
    """A day that is over."""

    seconds: float
    sending_s: float
    backlog: int  # batches that waited when the last ping was sent
    hours: list[Part]
    at_rest: Peak  # what is kept when nothing waits any more


def _at_rest(meter: PeakMeter) -> Peak:
    meter.part()  # the work before
    return meter.part().least


COUNT = "SELECT count(*) FROM ping WHERE fixed_at >= $1"


async def _count_stored(database_url: str, first_us: int) -> int:
    async with connect(database_url) as connection:
        return int(await connection.fetchval(COUNT, to_datetime(first_us)))


async def _send_day(
    day: Day, number: int, stage: Stage, contractor: PatientClient, force: PatientClient, profile: str, tell: Tell
) -> list[Part]:
    """Send everything; gives how much memory was in use in each hour of the day."""
    sent, hours = 0, list[Part]()
    stage.meter.part()  # what it took to get ready is not of the day
    steps = _steps(day, number, profile, tell)

    async def take_steps() -> None:
        nonlocal sent
        for step in steps:
            if isinstance(step, Delivery):
                await contractor.post("/v1/pings", step.content, step.media_type)
                sent += step.pings
                if sent * _HOURS >= day.rows.size * (len(hours) + 1):
                    hours.append(stage.meter.part())
            else:
                await force.post("/v1/incidents", step)

    async with asyncio.TaskGroup() as senders:
        for _ in range(IN_FLIGHT):
            senders.create_task(take_steps())
    return hours


def _steps(day: Day, number: int, profile: str, tell: Tell) -> Iterator[Delivery | bytes]:
    """The day in its order: batches of pings, and each crime an hour after its end."""
    rows, crimes = day
    reported = 0
    for start in range(0, rows.size, _BATCH_PINGS):
        batch = rows[start : start + _BATCH_PINGS]
        until_us = int(batch["fixed_at"].max().astype(np.int64)) - _REPORTED_AFTER_US
        upto = int(np.searchsorted(crimes.to_us, until_us, side="right"))
        if upto > reported:
            yield _reports(crimes, number, range(reported, upto), profile)
            reported = upto
        tell("a day", start / rows.size)
        yield as_arrow(batch)
    if reported < crimes.to_us.size:
        yield _reports(crimes, number, range(reported, crimes.to_us.size), profile)


def _reports(crimes: Crimes, day: int, numbers: range, profile: str) -> bytes:
    return msgspec.json.encode(
        [
            {
                "force": FORCE,
                "reference": f"N{day}/{number}",
                "offence": "BIAD",
                "from": to_datetime(int(crimes.from_us[number])).isoformat(),
                "to": to_datetime(int(crimes.to_us[number])).isoformat(),
                "lon": int(crimes.lon_e7[number]) / 1e7,
                "lat": int(crimes.lat_e7[number]) / 1e7,
                "profile": profile,
            }
            for number in numbers
        ]
    )
