import asyncio
import tempfile
from pathlib import Path

import pytest

from app.access.organisations import find_or_create_organisation
from app.db import Connection, connect
from app.demo.database import _make_anew, _prepare
from app.demo.parties import found_parties
from app.failure import Failure
from app.migrate import pending
from app.postgres import running_postgres


async def organisations(connection: Connection) -> list[str]:
    return [row["code"] for row in await connection.fetch("SELECT code FROM organisation ORDER BY code")]


async def test_an_empty_database_is_taken(empty_database_url: str) -> None:
    await _prepare(empty_database_url)
    async with connect(empty_database_url) as connection:
        assert await pending(connection) == []
        assert await organisations(connection) == []


async def test_a_migrated_database_that_nobody_uses_is_taken(database_url: str) -> None:
    await _prepare(database_url)
    async with connect(database_url) as connection:
        assert await organisations(connection) == []


async def test_what_an_earlier_demo_left_is_emptied(empty_database_url: str) -> None:
    await _prepare(empty_database_url)
    async with connect(empty_database_url) as connection:
        await found_parties(connection)
    await _prepare(empty_database_url)
    async with connect(empty_database_url) as connection:
        assert await pending(connection) == []
        assert await organisations(connection) == []


async def test_a_demos_database_that_others_have_come_to_use_is_refused(empty_database_url: str) -> None:
    await _prepare(empty_database_url)
    async with connect(empty_database_url) as connection:
        await found_parties(connection)
        await find_or_create_organisation(connection, "Kent", "force", None)
    with pytest.raises(Failure, match="in use by others"):
        await _prepare(empty_database_url)
    async with connect(empty_database_url) as connection:
        assert "Kent" in await organisations(connection)


async def test_a_database_with_the_demos_organisations_that_no_demo_made_is_refused(database_url: str) -> None:
    async with connect(database_url) as connection:
        await found_parties(connection)
    with pytest.raises(Failure, match="in use by others"):
        await _prepare(database_url)


async def test_a_database_with_tables_of_another_program_is_refused(empty_database_url: str) -> None:
    async with connect(empty_database_url) as connection:
        await connection.execute("CREATE TABLE invoice (number int)")
    with pytest.raises(Failure, match="not TrailMatch's"):
        await _prepare(empty_database_url)
    async with connect(empty_database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM invoice") == 0


def test_the_embedded_database_is_made_anew_but_not_while_another_demo_uses_it() -> None:
    async def two_demos(admin_url: str, demo_url: str) -> None:
        await _make_anew(admin_url)
        async with connect(demo_url) as connection:
            await connection.execute("CREATE TABLE left_behind ()")
            with pytest.raises(Failure, match="another demo"):
                await _make_anew(admin_url)
        await _make_anew(admin_url)
        async with connect(demo_url) as connection:
            assert await connection.fetchval("SELECT to_regclass('left_behind')") is None

    # Not pytest's directory: its path is too long for PostgreSQL's socket.
    with tempfile.TemporaryDirectory(prefix="trailmatch-demo-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)  # where PostgreSQL has to run as another user, that one must get in
        with running_postgres(Path(directory)) as server:
            asyncio.run(two_demos(server.url("postgres"), server.url("demo")))
