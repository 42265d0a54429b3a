"""Restoring from a backup as docs/operating.md says, with PostgreSQL's own programs."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from app.alerts.dispatcher import dispatch
from app.alerts.stream import refuse_unknown_position
from app.db import Connection, Pool, connect, connect_pool
from app.matching.canonical import read_canonical
from app.postgres.programs import find_programs
from app.trails.dropping import drop_day
from app.trails.sealing import seal_some
from tests.app.alerts.conftest import Case
from tests.app.test_operating import RUNBOOK
from tests.app.trails.dying import CLOSED
from tests.app.trails.test_matched import DAY, MARK_ALL

SECTION = re.search(r"^## Backup and restore\n(.+?)^## ", RUNBOOK, re.MULTILINE | re.DOTALL)


def follow_the_runbook(url: str, restored_url: str, directory: Path) -> str:
    """Run what the section says for a dump; gives what it prints."""
    assert SECTION is not None
    commands = re.search(r"```sh\n(pg_dump.+?)```", SECTION[1], re.DOTALL)
    assert commands is not None
    name = urlsplit(restored_url).path.removeprefix("/")
    script = commands[1].replace("postgresql://…/restored", restored_url).replace('_URL" restored', f'_URL" {name}')
    programs = find_programs(None)
    (directory / "trailmatch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app "$@"\n')
    (directory / "trailmatch").chmod(0o755)
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "PATH": f"{directory}:{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "TRAILMATCH_SIGNING_KEY": "the key that every process has.....",
        },
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


async def test_what_was_backed_up_is_there_again_and_goes_on(
    case: Case, pool: Pool, database_url: str, tmp_path: Path
) -> None:
    await dispatch(pool)
    await case.decide()
    await pool.execute(MARK_ALL)
    while (await seal_some(pool, DAY, CLOSED)).hours:
        pass
    # As if the old server had been busy for years: a new one counts its transactions from the beginning.
    await pool.execute("UPDATE sealed_day SET last_sealed_by = '4000000000'")
    async with pool.acquire() as connection:
        before = await read_canonical(connection), await stored(connection)
        last = await connection.fetchval("SELECT max(position) FROM outbox")

    restored_url = urlunsplit(urlsplit(database_url)._replace(path=f"{urlsplit(database_url).path}_restored"))
    try:
        said = follow_the_runbook(database_url, restored_url, tmp_path)
        # What the doctor says at the end: the tests' server is not durable, and the one tag sends nothing any more.
        ill = {line.split()[1] for line in said.splitlines() if line.startswith("ill ")}
        assert ill <= {"durability", "tags"}, said
        async with connect_pool(restored_url, max_size=4) as restored, restored.acquire() as connection:
            assert (await read_canonical(connection), await stored(connection)) == before
            # Whoever had read on after the backup may wait for what comes: that has positions which nobody has seen.
            await refuse_unknown_position(connection, last + 100)
            assert await dispatch(restored) == 1
            positions = [row["position"] for row in await connection.fetch("SELECT position FROM outbox ORDER BY 1")]
            assert positions[0] == last
            assert positions[1] > last + 100
            # A reader keeps no day that was sealed long ago.
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.fetchval("SELECT count(*) FROM device")
                assert await drop_day(restored, DAY)
    finally:
        async with connect(database_url) as admin:
            await admin.execute(f"DROP DATABASE IF EXISTS {urlsplit(restored_url).path[1:]} WITH (FORCE)")


async def stored(connection: Connection) -> list[tuple[str, int]]:
    """How many rows each table has."""
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200 ORDER BY 1"
    )
    return [(row[0], await connection.fetchval(f"SELECT count(*) FROM {row[0]}")) for row in tables]
