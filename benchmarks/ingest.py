"""`python -m benchmarks ingest`: how many pings a second are stored for good, over HTTP, while they are matched."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from app.db import Connection, connect
from app.postgres import running_postgres
from app.times import to_datetime
from benchmarks.deliveries import Delivery, as_arrow, send, serial
from benchmarks.deliveries import as_json as as_json_rows
from benchmarks.idle import wait_until_idle
from benchmarks.machine import describe_machine
from benchmarks.memory import metering
from benchmarks.minute_fixes import DAY_US, MINUTES_A_DAY, Rows, minute_fixes
from benchmarks.parties import FORCE, Keys
from benchmarks.patient_client import PatientClient
from benchmarks.service_process import own_state_dir, prepare, serving

_REPEATED: Final = 0.05
_RECORDS_A_BODY: Final = 1_000
_FITTED_BEFORE_US: Final = 30 * DAY_US
# What people watch goes to stderr, so that stdout holds nothing but the result.
_console = Console(stderr=True)
Tell = Callable[[int], None]


class Phase(NamedTuple):
    """One way of sending."""

    name: str
    encode: Callable[[Rows], Delivery]
    batch_pings: int
    pings: int


def ingest(
    *,
    json_pings: Annotated[int, typer.Option(min=1_000, help="Pings as JSON, in batches of 5,000.")] = 9_000_000,
    arrow_pings: Annotated[int, typer.Option(min=1_000, help="Pings as Arrow, in batches of 5,000.")] = 15_000_000,
    small_pings: Annotated[int, typer.Option(min=1_000, help="Pings as JSON, in batches of 100.")] = 1_000_000,
    devices: Annotated[int, typer.Option(min=10, max=20_000, help="Tags that fix once a minute.")] = 12_000,
    incidents: Annotated[int, typer.Option(min=0, help="Crimes of each day, reported before its pings.")] = 3_000,
    seed: Annotated[int, typer.Option(help="What trails and crimes are drawn from.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Send days of a country's minute fixes, a day for each way of sending, 5 % of the batches twice.

    The matcher runs, with the crimes of those days open; a checkpoint is made in the middle of each way; client,
    service and database share the machine. The pings are counted in the database afterwards. Sealing, which for live
    pings comes hours later, is left out. Exit 1: the count is wrong.
    """
    os.environ["TRAILMATCH_SEAL_AFTER_HOURS"] = "100000"
    machine = describe_machine()
    phases = [
        Phase("json", as_json_rows, 5_000, json_pings),
        Phase("arrow", as_arrow, 5_000, arrow_pings),
        Phase("small_batch", as_json_rows, 100, small_pings),
    ]
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        with (
            serving(state_dir, keys.force) as service,
            metering(service.process.pid) as meter,
            running_postgres(state_dir) as server,
        ):
            measured = asyncio.run(_measure(server.url(), service.address, keys, phases, devices, incidents, seed))
        peak = meter.peak
    result = {
        **measured,
        "equal": all(phase["stored"] == phase["unique"] for phase in measured["phases"].values()),
        "peak_rss_mb": peak.service_mb,
        "postgres_peak_rss_mb": peak.postgres_mb,
        "seed": seed,
        **machine,
    }
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    raise typer.Exit(0 if result["equal"] else 1)


async def _measure(
    url: str, address: str, keys: Keys, phases: list[Phase], devices: int, incidents: int, seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    today = int(datetime.now(UTC).timestamp() * 1e6) // DAY_US
    measured = {}
    async with (
        PatientClient(address, keys.contractor) as contractor,
        PatientClient(address, keys.force) as force,
        connect(url) as connection,
    ):
        await fit(contractor, devices, (today - 1) * DAY_US - _FITTED_BEFORE_US)
        for number, phase in enumerate(phases):
            day = today - 2 - number
            rows = minute_fixes(min(devices, -(-phase.pings // MINUTES_A_DAY)), day, rng)[: phase.pings]
            await report(force, rows, incidents, phase.name, rng)
            await wait_until_idle(force, lambda _: None)
            measured[phase.name] = await _send_all(connection, contractor, force, phase, rows, rng)
            _console.print(f"{phase.name}: {measured[phase.name]}", highlight=False)
    return {**{f"{name}_pings_per_s": phase["pings_per_s"] for name, phase in measured.items()}, "phases": measured}


async def fit(contractor: PatientClient, devices: int, from_us: int) -> None:
    """Fit every tag to a wearer called as it is."""
    serials = [serial(device) for device in range(1, devices + 1)]
    for start in range(0, devices, _RECORDS_A_BODY):
        some = serials[start : start + _RECORDS_A_BODY]
        wearers = [{"reference": name, "force": FORCE} for name in some]
        fittings = [
            {
                "activation_id": f"F-{name}",
                "device_id": name,
                "wearer_reference": name,
                "fitted_at": to_datetime(from_us).isoformat(),
            }
            for name in some
        ]
        await contractor.post("/v1/wearers", msgspec.json.encode(wearers))
        await contractor.post("/v1/activations", msgspec.json.encode(fittings))


async def report(force: PatientClient, rows: Rows, incidents: int, name: str, rng: np.random.Generator) -> None:
    """Report crimes where tags are, a hundred metres off or more: most windows hold somebody near, few a stay."""
    at = rng.integers(0, rows.size, incidents)
    east_e7, north_e7 = rng.normal(0, 20_000, (2, incidents)).tolist()
    length_us = rng.integers(10, 720, incidents) * 60_000_000
    records = [
        {
            "force": FORCE,
            "reference": f"{name}/{number}",
            "offence": "BIAD",
            "from": to_datetime(int(rows["fixed_at"][row].astype(np.int64) - length_us[number] // 2)).isoformat(),
            "to": to_datetime(int(rows["fixed_at"][row].astype(np.int64) + length_us[number] // 2)).isoformat(),
            "lon": (int(rows["lon_e7"][row]) + east_e7[number]) / 1e7,
            "lat": (int(rows["lat_e7"][row]) + north_e7[number]) / 1e7,
        }
        for number, row in enumerate(at)
    ]
    for start in range(0, incidents, _RECORDS_A_BODY):
        await force.post("/v1/incidents", msgspec.json.encode(records[start : start + _RECORDS_A_BODY]))


async def _send_all(
    connection: Connection,
    contractor: PatientClient,
    force: PatientClient,
    phase: Phase,
    rows: Rows,
    rng: np.random.Generator,
) -> dict[str, Any]:
    with _progress(phase.name, rows.size) as tell:
        starts = range(0, rows.size, phase.batch_pings)
        bodies = [phase.encode(rows[start : start + phase.batch_pings]) for start in starts]
        again = rng.choice(len(bodies), round(len(bodies) * _REPEATED), replace=False)
        order = np.sort(np.concatenate([np.arange(len(bodies)), np.minimum(again + 0.5, len(bodies))]))
        halfway = rows.size // 2
        sent_pings = 0
        checkpoint: asyncio.Task[Any] | None = None

        def sent(pings: int) -> None:
            nonlocal sent_pings, checkpoint
            sent_pings += pings
            tell(pings)
            if checkpoint is None and sent_pings >= halfway:
                checkpoint = asyncio.create_task(connection.execute("CHECKPOINT"))

        began_s = time.perf_counter()
        told = await send(contractor, (bodies[int(place)] for place in order), sent)
        sending_s = time.perf_counter() - began_s
        backlog = await wait_until_idle(force, lambda _: None)
        drain_s = time.perf_counter() - began_s - sending_s
    assert checkpoint is not None
    await checkpoint
    day = rows["fixed_at"].min().astype("M8[D]").astype(int)
    return {
        # Acknowledged, that is on disk, from the first request to the last answer; those sent twice count twice.
        "pings_per_s": round((told.accepted + told.duplicates) / sending_s),
        "accepted": told.accepted,
        "duplicates": told.duplicates,
        "sending_s": round(sending_s, 1),
        "backlog_batches": backlog,
        "drain_s": round(drain_s, 1),
        "unique": int(rows.size),
        "stored": await connection.fetchval(COUNT, int(day)),
        "batch_pings": phase.batch_pings,
    }


COUNT = """
SELECT count(*) FROM ping
WHERE fixed_at >= timestamptz 'epoch' + $1::int * interval '1 day'
    AND fixed_at < timestamptz 'epoch' + ($1::int + 1) * interval '1 day'
"""


@contextlib.contextmanager
def _progress(name: str, pings: int) -> Iterator[Tell]:
    """A bar, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_console, disable=not _console.is_terminal) as progress:
        task = progress.add_task(name, total=pings * (1 + _REPEATED))
        yield lambda sent: progress.advance(task, sent)
