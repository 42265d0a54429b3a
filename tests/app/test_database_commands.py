"""`trailmatch db` and the settings it reads, as processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

from app.migrate import read_migrations

NAMES = [str(migration) for migration in read_migrations()]


def trailmatch(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *words],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_migrate_says_what_it_applies_and_status_where_the_schema_stands(empty_database_url: str) -> None:
    before = trailmatch("db", "status", "--json", DATABASE_URL=empty_database_url)
    assert json.loads(before.stdout) == {"applied": [], "pending": NAMES, "problem": None}
    done = trailmatch("db", "migrate", "--json", DATABASE_URL=empty_database_url)
    assert json.loads(done.stdout) == {"applied": NAMES}
    assert done.stderr.splitlines() == [f"applying {name}" for name in NAMES]
    after = json.loads(trailmatch("db", "status", "--json", DATABASE_URL=empty_database_url).stdout)
    assert [each["migration"] for each in after["applied"]] == NAMES
    assert after["pending"] == []


def test_status_fails_where_files_and_database_do_not_belong_together(database_url: str) -> None:
    newer = "INSERT INTO schema_migration (version, name, checksum) VALUES (9999, 'newer', '')"
    subprocess.run([sys.executable, "-c", EXECUTE, database_url, newer], check=True)
    status = trailmatch("db", "status", DATABASE_URL=database_url)
    assert status.returncode == 1
    assert "the database is newer than this program: it has 9999_newer" in status.stdout


EXECUTE = """
import asyncio, sys
from app.db import connect
async def execute():
    async with connect(sys.argv[1]) as connection:
        await connection.execute(sys.argv[2])
asyncio.run(execute())
"""


def test_a_bad_setting_is_one_line_that_names_it_and_does_not_quote_it() -> None:
    failed = trailmatch("db", "status", DATABASE_URL="mysql://user:secret@host/db", TRAILMATCH_MATCHER="perhaps")
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert "DATABASE_URL: must begin with postgresql://" in failed.stderr
    assert "TRAILMATCH_MATCHER: " in failed.stderr
    assert "secret" not in failed.stderr


def test_a_database_that_refuses_is_one_line_without_the_password(empty_database_url: str) -> None:
    separator = "&" if "?" in empty_database_url else "?"
    elsewhere = f"{empty_database_url.replace('_test_', '_absent_')}{separator}password=secret"
    failed = trailmatch("db", "status", DATABASE_URL=elsewhere)
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert "does not exist" in failed.stderr
    assert "secret" not in failed.stderr


def test_an_address_whose_password_breaks_it_is_not_quoted() -> None:
    failed = trailmatch("db", "status", DATABASE_URL="postgresql://user:se/cret@host/db")
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert "cret" not in failed.stderr
    assert "user:se" not in failed.stderr
