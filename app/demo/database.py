"""The demo's own database, empty at every start: never one that holds anything of anybody else."""

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg

from app.db import Connection, connect
from app.demo.parties import CONTRACTOR, FORCE, PROBATION
from app.failure import Failure
from app.migrate import migrate
from app.postgres import running_postgres
from app.settings import Settings

_DATABASE = "demo"
_MARK = "made by trailmatch demo"


@contextlib.contextmanager
def demo_database(settings: Settings) -> Iterator[str]:
    """Give the address of a migrated database with nothing in it.

    With `DATABASE_URL` that one, if it is empty or an earlier demo's, else `demo` on the embedded server, made anew.
    Raises Failure rather than touch anything else. To be entered in the main thread, outside an event loop.
    """
    if settings.database_url is not None:
        asyncio.run(_prepare(settings.database_url))
        yield settings.database_url
        return
    with running_postgres(settings.state_dir) as server:
        asyncio.run(_make_anew(server.url("postgres")))
        asyncio.run(_prepare(server.url(_DATABASE)))
        yield server.url(_DATABASE)


DROP_DATABASE = "DROP DATABASE IF EXISTS demo"
CREATE_DATABASE = "CREATE DATABASE demo"


async def _make_anew(admin_url: str) -> None:
    async with connect(admin_url) as admin:
        try:
            await admin.execute(DROP_DATABASE)
        except asyncpg.ObjectInUseError:
            raise Failure(
                "another demo runs on the database in this state directory; "
                "stop it, or set TRAILMATCH_STATE_DIR to another directory"
            ) from None
        await admin.execute(CREATE_DATABASE)


# Owned by an extension: PostGIS puts spatial_ref_sys into an otherwise empty database.
COUNT_TABLES = """
SELECT count(*) FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
"""
IS_TRAILMATCH = (
    "SELECT to_regclass('public.schema_migration') IS NOT NULL AND to_regclass('public.organisation') IS NOT NULL"
)
READ_MARK = "SELECT obj_description('public.organisation'::regclass, 'pg_class')"
# A comment takes no parameter.
WRITE_MARK = "COMMENT ON TABLE public.organisation IS 'made by trailmatch demo'"
COUNT_STRANGERS = "SELECT count(*) FROM public.organisation WHERE code <> ALL($1::text[])"
EMPTY_SCHEMA = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


async def _prepare(url: str) -> None:
    """Empty what an earlier demo left, bring the schema up, and mark it as ours."""
    async with connect(url) as connection:
        if await _is_left_by_a_demo(connection):
            await connection.execute(EMPTY_SCHEMA)
    # Anew: what asyncpg knows of a dropped schema is stale.
    async with connect(url) as connection:
        await migrate(connection, report=lambda _: None)
        await connection.execute(WRITE_MARK)


async def _is_left_by_a_demo(connection: Connection) -> bool:
    """Whether there is an earlier demo's schema; False if there is none. Raises Failure if there is anything else."""
    if not await connection.fetchval(COUNT_TABLES):
        return False
    if not await connection.fetchval(IS_TRAILMATCH):
        raise Failure("DATABASE_URL holds tables that are not TrailMatch's; the demo needs a database of its own")
    strangers = await connection.fetchval(COUNT_STRANGERS, [CONTRACTOR, FORCE, PROBATION])
    is_marked: bool = await connection.fetchval(READ_MARK) == _MARK
    is_unused = not await connection.fetchval(COUNT_STRANGERS, [])
    if strangers or not (is_marked or is_unused):
        raise Failure("DATABASE_URL is in use by others than the demo; the demo needs a database of its own")
    return is_marked
