import pytest

from app.access.organisations import find_or_create_organisation
from app.db import Connection, connect
from app.demo.database import _prepare
from app.demo.parties import found_parties
from app.failure import Failure
from app.migrate import pending


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
