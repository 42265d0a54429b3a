"""`python -m benchmarks ingest`: how many pings a second are stored for good, over HTTP, while they are matched."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
import psutil
import typer
from rich.console import Console

from app.db import Connection, connect
from app.postgres import running_postgres
from app.times import to_datetime
from benchmarks.deliveries import Delivery, arrow_bodies, column_bodies, json_bodies, serial
from benchmarks.idle import wait_until_idle
from benchmarks.machine import describe_machine
from benchmarks.memory import metering
from benchmarks.minute_fixes import DAY_US, MINUTES_A_DAY, Rows, minute_fixes
from benchmarks.parties import FORCE, Keys
from benchmarks.patient_client import PatientClient
from benchmarks.senders import Target, send_written
from benchmarks.service_process import own_state_dir, prepare, serving
from benchmarks.written import Written, written

_REPEATED: Final = 0.05
# So many bodies later the sender of one whose answer was lost sends it again.
_LATER: Final = 20
_RECORDS_A_BODY: Final = 1_000
_FITTED_BEFORE_US: Final = 30 * DAY_US
_TELL_S: Final = 5.0
_LOOK_S: Final = 0.1
# What people watch goes to stderr, so that stdout holds nothing but the result.
_console = Console(stderr=True, highlight=False)


class Phase(NamedTuple):
    """One way of sending."""

    name: str
    bodies: Callable[[Rows, int], Iterator[Delivery]]
    batch_pings: int
    senders: int
    pings: int


class Scene(NamedTuple):
    """What happens, apart from the way of sending."""

    devices: int
    incidents: int
    seconds: float
    seed: int


def ingest(
    *,
    json_pings: Annotated[int, typer.Option(min=0, help="At most so many as JSON rows, 5,000 a body.")] = 15_000_000,
    column_pings: Annotated[
        int, typer.Option(min=0, help="At most so many as JSON columns, 5,000 a body.")
    ] = 23_000_000,
    arrow_pings: Annotated[int, typer.Option(min=0, help="At most so many as Arrow, 5,000 a body.")] = 23_000_000,
    small_pings: Annotated[int, typer.Option(min=0, help="At most so many as JSON, 100 a body.")] = 3_000_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long is sent, each way.")] = 65.0,
    devices: Annotated[int, typer.Option(min=10, max=20_000, help="Tags that fix once a minute.")] = 16_000,
    incidents: Annotated[int, typer.Option(min=0, help="Crimes of each day, reported before its pings.")] = 3_000,
    seed: Annotated[int, typer.Option(help="What trails and crimes are drawn from.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Send days of a country's minute fixes, a day for each way of sending, 5 % of the bodies twice.

    The matcher runs, with the crimes of those days open; a checkpoint is made in the middle of each way; senders,
    service and database share the machine. Bodies are made beforehand. The pings are counted in the database
    afterwards, and what waits to be matched is waited for. Sealing, which for live pings comes hours later, is left
    out. 0 pings leave a way out. About ten minutes. Exit 1: the count is wrong.
    """
    os.environ["TRAILMATCH_SEAL_AFTER_HOURS"] = "100000"
    machine = describe_machine()
    phases = [
        Phase("json", json_bodies, 5_000, 32, json_pings),
        Phase("json_columns", column_bodies, 5_000, 32, column_pings),
        Phase("arrow", arrow_bodies, 5_000, 32, arrow_pings),
        Phase("small_batch", json_bodies, 100, 32, small_pings),
    ]
    scene = Scene(devices, incidents, seconds, seed)
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        with (
            serving(state_dir, keys.force) as service,
            metering(service.process.pid, _TELL_S) as meter,
            running_postgres(state_dir) as server,
        ):
            bench = _Bench(state_dir, server.url(), service.address, keys, psutil.Process(service.process.pid))
            measured = asyncio.run(_measure(bench, [phase for phase in phases if phase.pings], scene))
        peak = meter.peak
    result = {
        **{f"{name}_pings_per_s": phase["pings_per_s"] for name, phase in measured.items()},
        "phases": measured,
        "equal": all(phase["stored"] == phase["unique"] for phase in measured.values()),
        "peak_rss_mb": peak.service_mb,
        "postgres_peak_rss_mb": peak.postgres_mb,
        "seed": seed,
        **machine,
    }
    typer.echo(json.dumps(result) if as_json else "\n".join(f"{name:22} {value}" for name, value in result.items()))
    raise typer.Exit(0 if result["equal"] else 1)


class _Bench(NamedTuple):
    """What is measured."""

    directory: Path
    database_url: str
    address: str
    keys: Keys
    service: psutil.Process


async def _measure(bench: _Bench, phases: list[Phase], scene: Scene) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(scene.seed)
    today = int(datetime.now(UTC).timestamp() * 1e6) // DAY_US
    measured = {}
    async with (
        PatientClient(bench.address, bench.keys.contractor) as contractor,
        PatientClient(bench.address, bench.keys.force) as force,
        connect(bench.database_url) as connection,
    ):
        await fit(contractor, scene.devices, (today - 1) * DAY_US - _FITTED_BEFORE_US)
        for number, phase in enumerate(phases):
            _console.print(f"{phase.name}: {phase.pings:,} pings are drawn")
            devices = min(scene.devices, -(-phase.pings // MINUTES_A_DAY))
            rows = minute_fixes(devices, today - 2 - number, rng)[: phase.pings]
            await report(force, rows, scene.incidents, phase.name, rng)
            with written(phase.bodies(rows, phase.batch_pings), bench.directory) as bodies:
                del rows
                await wait_until_idle(force, lambda _: None)
                sending = _Sending(bench, phase, bodies, scene.seconds)
                measured[phase.name] = await sending.run(connection, force, rng)
            measured[phase.name]["stored"] = await connection.fetchval(COUNT, today - 2 - number)
            _console.print(f"{phase.name}: {measured[phase.name]}")
    return measured


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


class _Sending:
    """One way of sending, as it goes."""

    def __init__(self, bench: _Bench, phase: Phase, bodies: Written, seconds: float) -> None:
        self._bench, self._phase, self._bodies, self._seconds = bench, phase, bodies, seconds
        self._begun = 0  # bodies that any sender has taken up
        self._pings = 0  # acknowledged
        self._began_s = 0.0

    async def run(self, connection: Connection, force: PatientClient, rng: np.random.Generator) -> dict[str, Any]:
        """Send until the time is up, make a checkpoint meanwhile, and wait until everything is matched."""
        target = Target(self._bench.address, self._bench.keys.contractor)
        before, self._began_s = self._cpu_s(), time.perf_counter()
        sender = asyncio.create_task(
            asyncio.to_thread(send_written, target, self._bodies, self._order(rng), self._phase.senders, self._tell)
        )
        checkpoint = asyncio.create_task(self._checkpoint(connection))
        while not (await asyncio.wait({sender}, timeout=_TELL_S))[0]:
            self._say()
        told, sending_s = await sender, time.perf_counter() - self._began_s
        cpu_s = {name: spent - before[name] for name, spent in self._cpu_s().items()}
        backlog = await wait_until_idle(force, self._say_matched())
        drain_s = time.perf_counter() - self._began_s - sending_s
        return {
            # Acknowledged, that is on disk, from the first request to the last answer; those sent twice count twice.
            "pings_per_s": round((told.accepted + told.duplicates) / sending_s),
            "accepted": told.accepted,
            "duplicates": told.duplicates,
            "sending_s": round(sending_s, 1),
            "checkpoint_s": await checkpoint,
            "backlog_batches": backlog,
            "drain_s": round(drain_s, 1),
            "cpu_us_a_ping": {name: round(spent / self._pings * 1e6, 2) for name, spent in cpu_s.items()},
            "unique": sum(self._bodies.pings[: self._begun]),
            "batch_pings": self._phase.batch_pings,
            "senders": self._phase.senders,
        }

    def _order(self, rng: np.random.Generator) -> Iterator[int]:
        """Give the bodies' numbers, some of them again a little later, until the time is up."""
        count = len(self._bodies.pings)
        again = rng.choice(count, round(count * _REPEATED), replace=False)
        places = np.concatenate([np.arange(count), again])
        for number in places[np.argsort(np.concatenate([np.arange(count), again + _LATER + 0.5]))].tolist():
            if time.perf_counter() - self._began_s > self._seconds:
                return
            self._begun = max(self._begun, number + 1)
            yield number

    def _tell(self, pings: int) -> None:
        self._pings += pings

    def _say(self) -> None:
        gone_s = time.perf_counter() - self._began_s
        _console.print(f"{self._phase.name}: {gone_s:3.0f} s, {self._pings:,} pings, {self._pings / gone_s:,.0f}/s")

    def _say_matched(self) -> Callable[[float], None]:
        """Say now and then how much of what waits is matched."""
        said_s = time.perf_counter()

        def say(share: float) -> None:
            nonlocal said_s
            if time.perf_counter() - said_s > _TELL_S:
                said_s = time.perf_counter()
                _console.print(f"{self._phase.name}: {share:.0%} of what waited is matched")

        return say

    async def _checkpoint(self, connection: Connection) -> float:
        """Make a checkpoint when half of the time is over, or half is sent; give how long it took, in seconds."""
        half = sum(self._bodies.pings) // 2
        while self._pings < half and time.perf_counter() - self._began_s < self._seconds / 2:  # noqa: ASYNC110 - threads
            await asyncio.sleep(_LOOK_S)
        began_s = time.perf_counter()
        await connection.execute("CHECKPOINT")
        return round(time.perf_counter() - began_s, 1)

    def _cpu_s(self) -> dict[str, float]:
        """Processor time so far, in seconds, of the service, of what it has started (the database), and of us."""
        spent = dict.fromkeys(("service", "others", "senders"), 0.0)
        started = self._bench.service.children(recursive=True)
        for name, process in (
            ("service", self._bench.service),
            ("senders", psutil.Process()),
            *(("others", p) for p in started),
        ):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent[name] += times.user + times.system
        return spent


COUNT = """
SELECT count(*) FROM ping
WHERE fixed_at >= timestamptz 'epoch' + $1::int * interval '1 day'
    AND fixed_at < timestamptz 'epoch' + ($1::int + 1) * interval '1 day'
"""
