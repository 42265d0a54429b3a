"""`trailmatch db …`: bring the schema up to date, or say where it stands."""

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from app.db import connect
from app.migrate import (
    Applied,
    Migration,
    MigrationRefused,
    migrate,
    read_applied,
    read_migrations,
    refuse_mismatch,
    refuse_unless_migrated,
)
from app.postgres import database_url
from app.settings import load_settings

database = typer.Typer(no_args_is_help=True, help="The database and its schema.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@database.command("migrate")
def migrate_database(*, as_json: AsJson = False) -> None:
    """Apply the migrations that the database does not have yet."""
    with database_url(load_settings()) as url:
        done = asyncio.run(_migrate(url, _say))
    if as_json:
        typer.echo(json.dumps({"applied": [str(migration) for migration in done]}))
    else:
        typer.echo(f"{len(done)} applied; the schema is up to date")


@database.command("status")
def status(*, as_json: AsJson = False) -> None:
    """Say which migrations are applied and which are pending; exit 1 if they do not belong together."""
    with database_url(load_settings()) as url:
        applied = asyncio.run(_read_applied(url))
    report = _report(read_migrations(), applied)
    typer.echo(json.dumps(report) if as_json else _in_words(report))
    raise typer.Exit(1 if report["problem"] else 0)


@database.command("restored")
def restored(*, as_json: AsJson = False) -> None:
    """Say that the database was just restored from a backup, before anything is started on it.

    Its alert stream goes on where nobody has been: what comes now would otherwise have positions that readers have
    seen, and those who were further than the backup would miss it. Days whose hours were sealed are free to be dropped,
    though the numbers of transactions may have begun again. Harmless where nothing was restored.
    """
    with database_url(load_settings()) as url:
        position = asyncio.run(_begin_anew(url))
    said = f"the next event on the alert stream has a position above {position}; now start the service and its workers"
    typer.echo(json.dumps({"position": position}) if as_json else said)


# More than a stream comes to in a century.
SKIP_POSITIONS = "SELECT setval('stream_position', last_value + 1000000000) FROM stream_position"

# Who reads with a snapshot from before a sealing is told by the number of its transaction; a restored database may be
# far behind that number, and nobody reads it yet.
SEALED_NOW = "UPDATE sealed_day SET last_sealed_by = pg_current_xact_id()"


async def _begin_anew(url: str) -> int:
    async with connect(url) as connection, connection.transaction():
        await refuse_unless_migrated(connection)
        await connection.execute(SEALED_NOW)
        return int(await connection.fetchval(SKIP_POSITIONS))


async def _migrate(url: str, report: Callable[[str], None]) -> list[Migration]:
    async with connect(url) as connection:
        return await migrate(connection, report)


async def _read_applied(url: str) -> list[Applied]:
    async with connect(url) as connection:
        return await read_applied(connection)


def _say(progress: str) -> None:
    typer.echo(progress, err=True)


def _report(files: list[Migration], applied: list[Applied]) -> dict[str, Any]:
    problem = None
    try:
        refuse_mismatch(files, applied)
    except MigrationRefused as refused:
        problem = str(refused)
    versions = {each.version for each in applied}
    return {
        "applied": [{"migration": str(each), "applied_at": each.applied_at.isoformat()} for each in applied],
        "pending": [str(migration) for migration in files if migration.version not in versions],
        "problem": problem,
    }


def _in_words(report: dict[str, Any]) -> str:
    lines = [f"applied {each['applied_at'][:19]}Z  {each['migration']}" for each in report["applied"]]
    lines += [f"pending               {migration}" for migration in report["pending"]]
    lines += [f"refused: {report['problem']}"] if report["problem"] else []
    return "\n".join(lines)
