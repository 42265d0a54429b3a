"""The schema, step by step: plain SQL files `migrations/NNNN_name.sql`, each applied once, in order, and only forward.

Each file runs in a transaction of its own together with its line in `schema_migration`, so it is applied wholly or
not at all; therefore none may use what PostgreSQL refuses there, such as CREATE INDEX CONCURRENTLY. One advisory lock
is held throughout: of two runners at once the second waits and then finds nothing to do.
"""

import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import asyncpg

from app.db import Connection
from app.failure import Failure

# Beside the packages: in a checkout, in an editable install of it, and in site-packages, where the wheel puts it too.
DIRECTORY = Path(__file__).resolve().parent.parent / "migrations"
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationRefused(Failure):
    """The files and what the database says was applied do not belong together; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.version:04}_{self.name}"


@dataclass(frozen=True, slots=True)
class Applied:
    """One line of `schema_migration`."""

    version: int
    name: str
    checksum: str
    applied_at: datetime

    def __str__(self) -> str:
        return f"{self.version:04}_{self.name}"


async def migrate(
    connection: Connection, report: Callable[[str], None], directory: Path = DIRECTORY
) -> list[Migration]:
    """Apply what is pending, in order, and return it; `report` hears of each file as it is applied.

    Raises MigrationRefused, before anything is changed, if an applied file has changed or is missing, if the database
    is newer than the files, or if a file is numbered below one already applied; and Failure if a file's SQL fails,
    naming it: those before it stay applied.
    """
    files = read_migrations(directory)
    async with _alone(connection, report):
        await connection.execute(CREATE_SCHEMA_MIGRATION)
        applied = await read_applied(connection)
        refuse_mismatch(files, applied)
        todo = files[len(applied) :]
        for migration in todo:
            report(f"applying {migration}")
            await _apply(connection, migration)
    return todo


async def pending(connection: Connection, directory: Path = DIRECTORY) -> list[str]:
    """Names of the files that the database does not have yet, in order; empty if this program can run on it.

    A database that is ahead of the files is fine: each migration is one that the version before it can live with.
    """
    versions = {applied.version for applied in await read_applied(connection)}
    return [str(migration) for migration in read_migrations(directory) if migration.version not in versions]


async def refuse_unless_migrated(connection: Connection) -> None:
    """Raise MigrationRefused, with what to do, if the database lacks a migration."""
    if missing := await pending(connection):
        raise MigrationRefused(f"the database lacks {', '.join(missing)}; run: trailmatch db migrate")


def read_migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """The files in order. Raises MigrationRefused for a file whose name is none, or two with one number."""
    migrations = [_read_migration(path) for path in sorted(directory.glob("*.sql"))]
    if not migrations:
        raise MigrationRefused(f"there are no migrations in {directory}")
    for before, after in pairwise(migrations):
        if before.version == after.version:
            raise MigrationRefused(f"two migrations have one number: {before} and {after}")
    return migrations


def _read_migration(path: Path) -> Migration:
    parts = _FILE_NAME.fullmatch(path.name)
    if parts is None:
        raise MigrationRefused(f"{path.name} is not a migration's name: NNNN_name.sql with a-z, 0-9 and _")
    return Migration(int(parts[1]), parts[2], path.read_text(encoding="utf-8"))


def refuse_mismatch(files: Sequence[Migration], applied: Sequence[Applied]) -> None:
    """Raise MigrationRefused unless `applied` is the beginning of `files`, unchanged. Both are in order of version."""
    known = {migration.version: migration for migration in files}
    for each in applied:
        migration = known.get(each.version)
        if migration is None and each.version > files[-1].version:
            raise MigrationRefused(f"the database is newer than this program: it has {each}, which is unknown here")
        if migration is None:
            raise MigrationRefused(f"{each} was applied, but its file is missing")
        if migration.checksum != each.checksum:
            raise MigrationRefused(f"{migration} was applied and has changed since; put it back, and write a new one")
    for migration, each in zip(files, applied, strict=False):
        if migration.version != each.version:
            raise MigrationRefused(f"{migration} is not applied, but {each} is: give it a number above {applied[-1]}")


CREATE_SCHEMA_MIGRATION = """
    CREATE TABLE IF NOT EXISTS schema_migration (
        version integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""

# to_regclass first: a database that was never migrated has applied nothing.
HAS_SCHEMA_MIGRATION = "SELECT to_regclass('schema_migration') IS NOT NULL"
SELECT_APPLIED = "SELECT version, name, checksum, applied_at FROM schema_migration ORDER BY version"


async def read_applied(connection: Connection) -> list[Applied]:
    """What the database has, in order of version."""
    if not await connection.fetchval(HAS_SCHEMA_MIGRATION):
        return []
    return [Applied(**row) for row in await connection.fetch(SELECT_APPLIED)]


INSERT_APPLIED = "INSERT INTO schema_migration (version, name, checksum) VALUES ($1, $2, $3)"


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(INSERT_APPLIED, migration.version, migration.name, migration.checksum)
    except asyncpg.PostgresError as error:
        raise Failure(f"{migration} failed and was undone: {error}") from error


TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('trailmatch schema_migration', 0))"
LOCK = "SELECT pg_advisory_lock(hashtextextended('trailmatch schema_migration', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('trailmatch schema_migration', 0))"


@contextlib.asynccontextmanager
async def _alone(connection: Connection, report: Callable[[str], None]) -> AsyncIterator[None]:
    """Hold the lock of the one runner at a time in this database."""
    if not await connection.fetchval(TRY_LOCK):
        report("waiting for another process that is migrating this database")
        await connection.execute(LOCK)
    try:
        yield
    finally:
        await connection.execute(UNLOCK)
