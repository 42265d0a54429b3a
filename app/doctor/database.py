"""What the doctor sees of the database itself: its settings, its schema, its clock, who holds it up."""

import time
from typing import Final

from app.db import Connection
from app.doctor.finding import Finding, doubtful, ill, well
from app.migrate import MigrationRefused, pending, read_applied, read_migrations, refuse_mismatch
from app.postgres.programs import SUPPORTED

# A fix over five minutes ahead is refused; a clock that is off by less already shifts who was where.
_CLOCK_OFF_S: Final = 2.0
_MOST_CLOCK_OFF_S: Final = 60.0


async def examine_database(connection: Connection) -> list[Finding]:
    """Look at the server and the schema; needs no table of ours."""
    return [
        await _version(connection),
        await _schema(connection),
        await _durability(connection),
        await _encoding(connection),
        await _clock(connection),
        await _holding_up(connection),
        await _archiving(connection),
    ]


async def _version(connection: Connection) -> Finding:
    server = connection.get_server_version()
    found = f"PostgreSQL {server.major}.{server.minor}"
    if server.major in SUPPORTED:
        return well("server", found)
    return ill("server", found, f"Use PostgreSQL {SUPPORTED.start} to {SUPPORTED.stop - 1}.")


async def _schema(connection: Connection) -> Finding:
    try:
        refuse_mismatch(read_migrations(), await read_applied(connection))
    except MigrationRefused as refused:
        return ill("schema", str(refused), "Run the version of TrailMatch that this database was migrated with.")
    if missing := await pending(connection):
        return ill("schema", f"it lacks {', '.join(missing)}", "Run: trailmatch db migrate")
    return well("schema", "every migration is applied")


DURABILITY = """
SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'autovacuum') AND setting = 'off' ORDER BY name
"""


async def _durability(connection: Connection) -> Finding:
    off = [row["name"] for row in await connection.fetch(DURABILITY)]
    if not off:
        return well("durability", "what is acknowledged is on disk; autovacuum runs")
    return ill(
        "durability",
        f"off: {', '.join(off)}",
        "Turn them on: without, pings that were acknowledged can be lost, or old rows are never cleared away.",
    )


ENCODING = "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"


async def _encoding(connection: Connection) -> Finding:
    encoding = await connection.fetchval(ENCODING)
    if encoding == "UTF8":
        return well("encoding", "UTF8")
    return ill("encoding", str(encoding), "Make the database anew with ENCODING 'UTF8', and restore into it.")


CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"


async def _clock(connection: Connection) -> Finding:
    before = time.time()
    at_server = await connection.fetchval(CLOCK)
    after = time.time()
    off_s = max(before - at_server, at_server - after, 0.0)
    found = f"this machine's and the server's differ by {off_s:.1f} s"
    advice = "Let both follow the same time server (NTP): pings ahead of the clock are refused."
    if off_s > _MOST_CLOCK_OFF_S:
        return ill("clock", found, advice)
    return doubtful("clock", found, advice) if off_s > _CLOCK_OFF_S else well("clock", "in step with the server's")


HOLDING_UP = """
SELECT count(*) AS n, coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 AS longest_s,
    min(pid) AS pid
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND xact_start < clock_timestamp() - interval '10 minutes'
"""


async def _holding_up(connection: Connection) -> Finding:
    row = await connection.fetchrow(HOLDING_UP)
    assert row is not None
    if not row["n"]:
        return well("long transactions", "none over 10 minutes")
    return doubtful(
        "long transactions",
        f"{row['n']}, the longest for {row['longest_s'] / 60:.0f} min (one is process {row['pid']})",
        "They keep old days from being dropped. See pg_stat_activity; end one with pg_terminate_backend(pid).",
    )


ARCHIVING = """
SELECT current_setting('archive_mode') AS mode, archived.last_failed_time > coalesce(archived.last_archived_time,
    '-infinity') AS is_failing, slots.n AS idle_slots
FROM pg_stat_archiver AS archived, (SELECT count(*) AS n FROM pg_replication_slots WHERE NOT active) AS slots
"""


async def _archiving(connection: Connection) -> Finding:
    row = await connection.fetchrow(ARCHIVING)
    assert row is not None
    if row["is_failing"]:
        return ill(
            "log archive", "the last segment was not archived", "See the server's log; its disk fills until then."
        )
    if row["idle_slots"]:
        return doubtful(
            "log archive",
            f"{row['idle_slots']} replication slots that nobody reads",
            "The server keeps its log for them until the disk is full: pg_drop_replication_slot(name).",
        )
    if row["mode"] == "off":
        return doubtful(
            "log archive",
            "the write-ahead log is not archived",
            "A lost disk loses everything since the last backup. docs/operating.md, “Backup and restore”.",
        )
    return well("log archive", "up to date")
