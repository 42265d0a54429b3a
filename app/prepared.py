"""A database that has the schema, for commands that work on it."""

import contextlib
from collections.abc import AsyncIterator, Callable

from app.db import Connection, connect
from app.migrate import migrate, refuse_unless_migrated
from app.settings import Settings


@contextlib.asynccontextmanager
async def connect_prepared(url: str, settings: Settings, report: Callable[[str], None]) -> AsyncIterator[Connection]:
    """Connect, and see that the schema is there: the embedded database is migrated, a server's is left alone.

    Raises MigrationRefused, with the command to run, if a server's lacks a migration.
    """
    async with connect(url) as connection:
        if settings.database_url is None:
            await migrate(connection, report)
        else:
            await refuse_unless_migrated(connection)
        yield connection
