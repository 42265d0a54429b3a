"""The worker that a service starts beside it: what the service knows of it, and how the two end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection

_PATIENCE_S = 300.0  # the first start compiles the kernels


class _Served:
    """`trailmatch serve` with a matcher."""

    def __init__(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient, log: Path) -> None:
        self.process, self.client, self.log = process, client, log

    async def readiness(self) -> httpx.Response:
        return await self.client.get("/health/readiness")

    async def wait_for(self, state: str) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while (await self.readiness()).json()["matcher"]["state"] != state:
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    def worker(self) -> psutil.Process:
        [worker] = psutil.Process(self.process.pid).children()
        return worker

    def events(self, event: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


@contextlib.asynccontextmanager
async def _serving(database_url: str, connection: Connection) -> AsyncIterator[_Served]:
    organisation = await find_or_create_organisation(connection, "met", "force", None)
    key = await create_key(connection, organisation, {"metrics:read"}, "test")
    with tempfile.NamedTemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "serve", "--port", "0"),
            stderr=log,
            env={**os.environ, "DATABASE_URL": database_url, "TRAILMATCH_MATCHER": "true"},
        )
        try:
            while "TrailMatch" not in (said := _read(log.name)):
                assert process.returncode is None, said
                await asyncio.sleep(0.05)
            address = said.split()[1]
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
                yield _Served(process, client, Path(log.name))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


async def test_a_service_runs_a_worker_beside_it_tells_what_that_measures_and_ends_with_it(
    database_url: str, connection: Connection
) -> None:
    async with _serving(database_url, connection) as served:
        assert (await served.readiness()).status_code == 503  # it compiles, or loads what was compiled
        await served.wait_for("warm")
        worker = served.worker()
        lines = (await served.client.get("/metrics")).text.splitlines()
        assert "trailmatch_match_lag_seconds_count 0.0" in lines
        families = [line for line in lines if line.startswith("# TYPE")]
        assert len(set(families)) == len(families)  # else Prometheus refuses all of it
        served.process.send_signal(signal.SIGTERM)
        assert await served.process.wait() == 0, served.log.read_text()
        assert not worker.is_running()


async def test_a_worker_that_is_killed_is_started_again_and_the_service_stays_ready_and_says_so(
    database_url: str, connection: Connection
) -> None:
    async with _serving(database_url, connection) as served:
        await served.wait_for("warm")
        first = served.worker()
        first.kill()
        await served.wait_for("restarting")
        assert (await served.readiness()).status_code == 200
        assert (await served.client.get("/metrics")).status_code == 200
        await served.wait_for("warm")
        assert served.worker().pid != first.pid
        [said] = served.events("the matcher's process has ended; it is started again")
        assert (said["exit_code"], said["level"]) == (-signal.SIGKILL, "error")
        assert await connection.fetchval("SELECT count(*) FROM run") == 2


async def test_a_worker_does_not_outlive_a_service_that_is_killed(database_url: str, connection: Connection) -> None:
    async with _serving(database_url, connection) as served:
        await served.wait_for("warm")
        worker = served.worker()
        served.process.kill()
        await served.process.wait()
        await asyncio.to_thread(worker.wait, 30)
