"""`trailmatch worker`: matchers in processes of their own, several at once."""

import asyncio
import os
import subprocess
import sys

from app.db import connect
from app.postgres import running_postgres
from app.running import Running, Service
from benchmarks.service_process import free_port, own_state_dir, prepare
from benchmarks.story import Story
from tests.app.processes.endings import (
    PROFILE,
    Ending,
    check_ending,
    check_nothing_is_left,
    play_through,
    read_ending,
)


def test_two_workers_together_find_what_one_matcher_in_the_service_finds(story: Story, undisturbed: Ending) -> None:
    with own_state_dir() as state_dir:
        keys = prepare(state_dir, PROFILE)
        service = Service(state_dir, free_port(), "--no-matcher")
        service.wait_until_ready(keys.force)
        workers = [Running(state_dir, "worker") for _ in range(2)]
        try:
            asyncio.run(play_through(story, service.address, keys))
            for worker in workers:
                worker.raise_if_ended()
        finally:
            codes = [process.stop() for process in (*workers, service)]
        assert codes == [0, 0, 0]
        check_ending(read_ending(state_dir), undisturbed, story)
        with running_postgres(state_dir) as server:
            assert asyncio.run(count_runs(server.url())) == 2
        check_nothing_is_left(state_dir)


async def count_runs(url: str) -> int:
    async with connect(url) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM run"))


def test_a_database_without_the_schema_is_refused_in_one_line(empty_database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "worker"],
        env={**os.environ, "DATABASE_URL": empty_database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("trailmatch: ")
    assert "db migrate" in done.stderr
    assert done.stderr.count("\n") == 1
