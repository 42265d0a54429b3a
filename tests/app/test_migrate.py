"""The migration runner, on migrations made up here and on the real ones."""

import asyncio
from pathlib import Path

import pytest

from app.db import connect
from app.failure import Failure
from app.migrate import MigrationRefused, migrate, pending, read_applied, read_migrations


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with two migrations."""
    write(tmp_path, "0001_first", "CREATE TABLE first (n integer); INSERT INTO first VALUES (1);")
    write(tmp_path, "0002_second", "CREATE TABLE second (n integer);")
    return tmp_path


def write(directory: Path, name: str, sql: str) -> None:
    (directory / f"{name}.sql").write_text(sql)


async def apply(url: str, directory: Path) -> list[str]:
    """Migrate; what the runner reported."""
    reports: list[str] = []
    async with connect(url) as connection:
        await migrate(connection, reports.append, directory)
    return reports


async def applied_names(url: str) -> list[str]:
    async with connect(url) as connection:
        return [str(each) for each in await read_applied(connection)]


async def test_each_is_applied_once_and_in_order(empty_database_url: str, files: Path) -> None:
    assert await apply(empty_database_url, files) == ["applying 0001_first", "applying 0002_second"]
    write(files, "0003_third", "ALTER TABLE first RENAME TO former;")
    assert await apply(empty_database_url, files) == ["applying 0003_third"]
    assert await apply(empty_database_url, files) == []
    assert await applied_names(empty_database_url) == ["0001_first", "0002_second", "0003_third"]
    async with connect(empty_database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM former") == 1


async def test_what_is_pending_is_said(empty_database_url: str, files: Path) -> None:
    async with connect(empty_database_url) as connection:
        assert await pending(connection, files) == ["0001_first", "0002_second"]
        await migrate(connection, lambda _: None, files)
        assert await pending(connection, files) == []
        write(files, "0003_third", "SELECT 1;")
        assert await pending(connection, files) == ["0003_third"]


async def test_a_running_version_stays_ready_when_the_next_has_migrated(empty_database_url: str, files: Path) -> None:
    await apply(empty_database_url, files)
    (files / "0002_second.sql").unlink()
    async with connect(empty_database_url) as connection:
        assert await pending(connection, files) == []


async def test_a_file_that_fails_is_undone_whole_and_named_and_those_before_it_stay(
    empty_database_url: str, files: Path
) -> None:
    write(files, "0003_third", "CREATE TABLE third (n integer); SELECT 1 / 0;")
    with pytest.raises(Failure, match="0003_third failed and was undone: division by zero"):
        await apply(empty_database_url, files)
    assert await applied_names(empty_database_url) == ["0001_first", "0002_second"]
    async with connect(empty_database_url) as connection:
        assert await connection.fetchval("SELECT to_regclass('third')") is None
    write(files, "0003_third", "CREATE TABLE third (n integer);")
    assert await apply(empty_database_url, files) == ["applying 0003_third"]


async def test_an_applied_file_that_changed_is_refused(empty_database_url: str, files: Path) -> None:
    await apply(empty_database_url, files)
    write(files, "0001_first", "CREATE TABLE first (n bigint);")
    write(files, "0003_third", "CREATE TABLE third (n integer);")
    await refused(empty_database_url, files, "0001_first was applied and has changed since")


async def test_an_applied_file_that_is_missing_is_refused(empty_database_url: str, files: Path) -> None:
    await apply(empty_database_url, files)
    (files / "0001_first.sql").unlink()
    await refused(empty_database_url, files, "0001_first was applied, but its file is missing")


async def test_a_database_that_is_newer_than_the_program_is_refused(empty_database_url: str, files: Path) -> None:
    await apply(empty_database_url, files)
    (files / "0002_second.sql").unlink()
    await refused(empty_database_url, files, "the database is newer than this program: it has 0002_second")


async def test_a_file_numbered_below_an_applied_one_is_refused(empty_database_url: str, files: Path) -> None:
    (files / "0002_second.sql").rename(files / "0003_third.sql")
    await apply(empty_database_url, files)
    write(files, "0002_late", "CREATE TABLE late (n integer);")
    await refused(empty_database_url, files, "0002_late is not applied, but 0003_third is")


async def refused(url: str, directory: Path, reason: str) -> None:
    before = await applied_names(url)
    with pytest.raises(MigrationRefused, match=reason):
        await apply(url, directory)
    assert await applied_names(url) == before


@pytest.mark.parametrize("name", ["1_first", "0003-third", "0003_Third", "third"])
def test_a_file_whose_name_is_none_is_refused(files: Path, name: str) -> None:
    write(files, name, "SELECT 1;")
    with pytest.raises(MigrationRefused, match=name):
        read_migrations(files)


def test_two_files_with_one_number_are_refused(files: Path) -> None:
    write(files, "0002_other", "SELECT 1;")
    with pytest.raises(MigrationRefused, match="0002_other and 0002_second"):
        read_migrations(files)


async def test_of_two_runners_at_once_one_applies_and_the_other_waits_and_finds_nothing_to_do(
    empty_database_url: str, files: Path
) -> None:
    write(files, "0003_slow", "SELECT pg_sleep(0.5);")
    reports = await asyncio.gather(*(apply(empty_database_url, files) for _ in range(3)))
    all_three = ["applying 0001_first", "applying 0002_second", "applying 0003_slow"]
    waiting = ["waiting for another process that is migrating this database"]
    assert sorted(reports) == sorted([all_three, waiting, waiting])


async def test_a_file_that_cannot_be_recorded_is_undone(empty_database_url: str, files: Path) -> None:
    write(files, "0003_third", "CREATE TABLE third (n int); INSERT INTO schema_migration VALUES (3, 'third', '')")
    with pytest.raises(Failure, match="0003_third failed and was undone"):
        await apply(empty_database_url, files)
    async with connect(empty_database_url) as connection:
        assert await connection.fetchval("SELECT to_regclass('third')") is None


async def test_the_lock_is_let_go_also_after_a_failure(empty_database_url: str, files: Path) -> None:
    async with connect(empty_database_url) as connection:
        await migrate(connection, lambda _: None, files)
        assert await connection.fetchval(COUNT_ADVISORY_LOCKS) == 0
        write(files, "0003_third", "SELECT 1 / 0;")
        with pytest.raises(Failure):
            await migrate(connection, lambda _: None, files)
        assert await connection.fetchval(COUNT_ADVISORY_LOCKS) == 0


COUNT_ADVISORY_LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"


async def test_the_real_ones_apply_to_an_empty_database(empty_database_url: str) -> None:
    async with connect(empty_database_url) as connection:
        done = await migrate(connection, lambda _: None)
        assert done == read_migrations()
        assert await pending(connection) == []
