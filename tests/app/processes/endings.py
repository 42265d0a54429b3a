"""What a story ends in, and that nothing of it is left running."""

import asyncio
import fcntl
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from app.db import Connection, connect
from app.postgres import running_postgres
from app.trails.store import Stretches, read_pings
from benchmarks.parties import Keys
from benchmarks.playing import Played, play
from benchmarks.story import Story
from matcher.profile import plain_radius

PROFILE = plain_radius("replay", 120.0, 300.0)


class Ending(NamedTuple):
    """What does not depend on the order and the number of attempts, and how often each alert was raised."""

    pings: int
    matches: set[tuple[object, ...]]
    alerts: set[tuple[object, ...]]
    raised: list[int]


MATCHES = """
SELECT m.match_id, m.incident_id, m.wearer_id, m.incident_version, m.verdict, m.evidence::text,
    encode(p.settings_sha256, 'hex')
FROM match m JOIN profile p USING (profile_id) WHERE m.is_live
"""
ALERTS = """
SELECT a.alert_id, a.match_id, r.evidence::text FROM alert a JOIN alert_revision r USING (alert_id, revision)
WHERE a.state <> 'withdrawn'
"""
# As the stream tells it; a revision without a place on it would not be told.
RAISED = """
SELECT count(*) FILTER (WHERE r.kind = 'raised' AND o.position IS NOT NULL)
FROM alert_revision r LEFT JOIN outbox o USING (alert_id, revision) GROUP BY r.alert_id
"""


def read_ending(state_dir: Path) -> Ending:
    """Read what is in the database of services that have stopped."""

    async def read(url: str) -> Ending:
        async with connect(url) as connection:
            return Ending(
                await count_pings(connection),
                {tuple(row) for row in await connection.fetch(MATCHES)},
                {tuple(row) for row in await connection.fetch(ALERTS)},
                [row[0] for row in await connection.fetch(RAISED)],
            )

    with running_postgres(state_dir) as server:
        return asyncio.run(read(server.url()))


async def count_pings(connection: Connection) -> int:
    """Count what is stored, as readers find it: the story is old enough for its days to be sealed meanwhile."""
    devices = [row["device_id"] for row in await connection.fetch("SELECT device_id FROM device")]
    always = np.zeros(len(devices), np.int64), np.full(len(devices), 2_000_000_000_000_000)
    return (await read_pings(connection, Stretches(np.array(devices, np.int32), *always))).device_id.size


async def play_through(story: Story, address: str, keys: Keys) -> Played:
    # Small batches, so that there are many moments between two of them.
    return await play(story, address, keys, PROFILE.name, lambda *_: None, batch_pings=100)


def check_ending(ending: Ending, undisturbed: Ending, story: Story) -> None:
    assert ending.pings == story.device.size
    assert ending.matches == undisturbed.matches
    assert ending.alerts == undisturbed.alerts
    assert set(ending.raised) == {1}


def check_nothing_is_left(state_dir: Path) -> None:
    running = psutil.process_iter(["pid", "cmdline"])
    assert [p.info for p in running if str(state_dir) in " ".join(p.info["cmdline"] or [])] == []
    # Each of PostgreSQL's processes holds this lock as long as it lives.
    with (state_dir / "postgres.server").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
