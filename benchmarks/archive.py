"""`python -m benchmarks archive`: many crimes reported at once, against all the pings that are stored."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
import psutil
import typer

from app.db import Pool, connect_pool
from app.failure import Failure
from app.postgres import running_postgres
from app.rows import MAX_BODY_BYTES
from app.running import Running
from app.times import to_datetime
from benchmarks.deliveries import serial
from benchmarks.idle import wait_until_idle
from benchmarks.ingest import fit
from benchmarks.machine import describe_machine
from benchmarks.memory import metering
from benchmarks.minute_fixes import DAY_US
from benchmarks.parties import FORCE, Keys
from benchmarks.patient_client import PatientClient
from benchmarks.progress import Tell, progress_bar
from benchmarks.scan_or_index import scan_or_index
from benchmarks.sealed_trails import write_trails
from benchmarks.service_process import own_state_dir, prepare, serving
from benchmarks.workloads import MINUTES_A_DAY, START_US, Size, Workload, drawn
from matcher.context import Incident, padded_window
from matcher.incidents import Incidents
from matcher.join import Between, space_time_join
from matcher.profile import BUILT_IN, Profile
from matcher.trails import Longs

_DAYS: Final = 10
_OFFENCE: Final = "BIAD"
# How many at once the two ways to join what was read are compared for.
_ASKED: Final = (1, 100, 2_000)
_PROFILES: Final = {profile.name: profile for profile in BUILT_IN}
Pairs = set[tuple[int, int]]  # row of the incident, row of the device


class Known(NamedTuple):
    """What the join finds in the arrays that the database was filled from."""

    candidates: Pairs  # in the circle with its margin: what has to be weighed
    inside: Pairs  # in the circle


def archive(
    *,
    pings: Annotated[int, typer.Option(min=15_000, help="Stored before, about: ten days of minute fixes.")] = 10**8,
    incidents: Annotated[int, typer.Option(min=1, help="Reported at once, of any time in these days.")] = 20_000,
    profile: Annotated[str, typer.Option(help="What they are matched by.")] = "standard",
    workers: Annotated[int, typer.Option(min=0, help="Processes that match, besides the service.")] = 1,
    seed: Annotated[int, typer.Option(help="What trails and crimes are drawn from.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Fill a database with sealed trails, report crimes in the largest bodies allowed, wait until all are matched.

    Timed from the first request until nothing waits any more. The pairs that were weighed and those that became matches
    are compared with the join of the same arrays in memory before anything is printed. Client, service and database
    share the machine; what was just written is in its memory. Exit 1: the pairs differ.
    """
    if profile not in _PROFILES:
        raise Failure(f"there is no profile {profile}; there are {', '.join(_PROFILES)}")
    # Sealing what is left open is no part of this.
    os.environ["TRAILMATCH_SEAL_AFTER_HOURS"] = "100000"
    machine = describe_machine()
    devices = max(1, round(pings / (_DAYS * MINUTES_A_DAY)))
    scene = drawn("W2", Size(devices, _DAYS * MINUTES_A_DAY, incidents), seed)
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        with (
            serving(state_dir, keys.force) as service,
            _working(state_dir, workers) as working,
            metering(service.process.pid) as meter,
            running_postgres(state_dir) as server,
            progress_bar() as tell,
        ):
            processes = [service, *working]
            measured = asyncio.run(
                _measure(server.url(), service.address, keys, scene, _PROFILES[profile], processes, tell)
            )
        peak = meter.peak
    result = {
        "machine": machine,
        "seed": seed,
        "profile": profile,
        "workers": workers,
        "pings": int(scene.trails.fixed_at_us.size),
        "incidents": incidents,
        **measured,
        "peak_rss_mb": peak.service_mb,
        "postgres_peak_rss_mb": peak.postgres_mb,
    }
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    raise typer.Exit(0 if result["equal"] else 1)


@contextlib.contextmanager
def _working(state_dir: Path, count: int) -> Iterator[list[Running]]:
    processes = [Running(state_dir, "worker") for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.stop()


async def _measure(
    url: str, address: str, keys: Keys, scene: Workload, profile: Profile, processes: list[Running], tell: Tell
) -> dict[str, Any]:
    async with (
        PatientClient(address, keys.contractor) as contractor,
        PatientClient(address, keys.force) as force,
        connect_pool(url) as pool,
    ):
        tell("fitting", 0.0)
        await fit(contractor, scene.trails.device_id.size, START_US - 100 * DAY_US)
        await wait_until_idle(force, lambda _: None)
        began_s = time.perf_counter()
        numbers = await _numbers(pool, scene)
        written = await write_trails(pool, scene.trails, numbers, scene.seed, lambda done: tell("storing", done))
        fill_s = time.perf_counter() - began_s
        bodies = _bodies(scene.incidents, profile.name)
        before, cpu_before = await _seconds(force), _cpu_s(processes)
        began_s = time.perf_counter()
        for body in bodies:
            await force.post("/v1/incidents", body)
        posted_s = time.perf_counter() - began_s
        await wait_until_idle(force, lambda _: tell("joining", 0.0), ("arrivals",))
        joined_s = time.perf_counter() - began_s
        await wait_until_idle(force, lambda done: tell("weighing", done))
        total_s = time.perf_counter() - began_s
        after, cpu_after = await _seconds(force), _cpu_s(processes)
        tell("comparing", 0.0)
        known = await asyncio.to_thread(_known, scene, profile)
        weighed, matched = await _pairs(pool, WEIGHED), await _pairs(pool, MATCHED)
        return {
            "equal": weighed == known.candidates
            and (matched == known.inside if not profile.candidate_margin_m else matched <= known.candidates),
            "open_pings": written.open_pings,
            "pairs": len(weighed),
            "pairs_inside": len(known.inside),
            "matches": len(matched),
            "alerts": await pool.fetchval("SELECT count(*) FROM alert"),
            "bodies": len(bodies),
            "post_s": round(posted_s, 2),
            "joined_s": round(joined_s, 2),
            **{f"{stage}_s": round(after[stage] - before.get(stage, 0.0), 2) for stage in sorted(after)},
            **{f"{who}_cpu_s": round(cpu_after[who] - cpu_before[who], 2) for who in cpu_after},
            "total_s": round(total_s, 2),
            "fill_s": round(fill_s, 1),
            "forms": await scan_or_index(pool, _references(scene.incidents), _ASKED, scene.seed),
            "stored_mb": round(await pool.fetchval("SELECT pg_total_relation_size('trail_chunk')") / 1e6, 1),
        }


def _references(incidents: Incidents) -> list[str]:
    return [f"A/{number}" for number in range(incidents.lon_deg.size)]


NUMBERS = "SELECT serial, device_id FROM device"


async def _numbers(pool: Pool, scene: Workload) -> Longs:
    """Give what the database calls each device."""
    known = {row["serial"]: row["device_id"] for row in await pool.fetch(NUMBERS)}
    return np.array([known[serial(device + 1)] for device in scene.trails.device_id.tolist()], np.int64)


def _bodies(incidents: Incidents, profile: str) -> list[bytes]:
    """Give the incidents as bodies of POST /v1/incidents, as few as are allowed."""
    records = [
        {
            "force": FORCE,
            "reference": reference,
            "offence": _OFFENCE,
            "from": to_datetime(from_us).isoformat(),
            "to": to_datetime(to_us).isoformat(),
            "lon": lon,
            "lat": lat,
            "profile": profile,
        }
        for reference, lon, lat, _, from_us, to_us in zip(
            _references(incidents), *(column.tolist() for column in incidents), strict=True
        )
    ]
    most = max(len(msgspec.json.encode(record)) + 1 for record in records)
    step = max(1, (MAX_BODY_BYTES - 2) // most)
    return [msgspec.json.encode(records[start : start + step]) for start in range(0, len(records), step)]


async def _seconds(client: PatientClient) -> dict[str, float]:
    """Give how long the service's stages have worked, all together."""
    text = await client.get_text("/metrics")
    found = {}
    for line in text.splitlines():
        if line.startswith("trailmatch_match_seconds_sum{"):
            name, value = line.split(" ")
            found[name.split('"')[1]] = float(value)
    return found


def _cpu_s(processes: list[Running]) -> dict[str, float]:
    """Give how long processors have worked for the matching processes, and for the database, a child of the first."""
    matching = [psutil.Process(process.process.pid) for process in processes]
    children = matching[0].children(recursive=True)
    database = [child for child in children if child.name() == "postgres"]
    matching += [child for child in children if child not in database]
    return {
        "matching": sum(times.user + times.system for times in (process.cpu_times() for process in matching)),
        "postgres": sum(
            times.user + times.system + times.children_user + times.children_system
            for times in (process.cpu_times() for process in database)
        ),
    }


def _known(scene: Workload, profile: Profile) -> Known:
    circle = profile.circle(_OFFENCE)
    windows = [
        padded_window(Incident(lon, lat, _OFFENCE, from_us, to_us), profile)
        for lon, lat, _, from_us, to_us in zip(*(column.tolist() for column in scene.incidents), strict=True)
    ]
    return Known(
        *(
            _joined(scene, [w.start_us for w in windows], [w.end_us for w in windows], radius_m, profile)
            for radius_m in (circle.radius_m + profile.candidate_margin_m, circle.radius_m)
        )
    )


def _joined(scene: Workload, from_us: list[int], to_us: list[int], radius_m: float, profile: Profile) -> Pairs:
    circles = scene.incidents._replace(
        radius_m=np.full(len(from_us), radius_m), from_us=np.array(from_us), to_us=np.array(to_us)
    )
    hits = space_time_join(scene.trails, circles, Between(profile.max_gap_s, profile.max_speed_mps), threads=2)
    return set(zip(hits.incident.tolist(), hits.device.tolist(), strict=True))


WEIGHED = """
SELECT i.reference AS incident, w.reference AS wearer FROM judged_pair JOIN incident AS i USING (incident_id)
JOIN wearer AS w USING (wearer_id)
"""
MATCHED = """
SELECT i.reference AS incident, w.reference AS wearer FROM match JOIN incident AS i USING (incident_id)
JOIN wearer AS w USING (wearer_id) WHERE is_live
"""


async def _pairs(pool: Pool, statement: str) -> Pairs:
    # What `_bodies` and `fit` called them.
    return {(int(row["incident"][2:]), int(row["wearer"][1:]) - 1) for row in await pool.fetch(statement)}
