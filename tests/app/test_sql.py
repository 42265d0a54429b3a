"""Every statement of the service fits the schema.

The rule: a module-level constant in capitals that begins with a statement's first word is SQL, and is run as it stands.
In each module the temporary tables are made first, for the other statements name them. What can be prepared is
prepared; what cannot is executed and undone; what acts on whole databases has no schema to fit and is left out.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import asyncpg
import pytest

import app
from app.db import Connection

PREPARABLE = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|VALUES|WITH)\s")
EXECUTABLE = re.compile(
    r"\s*(CREATE|ALTER|DROP|COMMENT|TRUNCATE|LOCK|SET|LISTEN|UNLISTEN|NOTIFY|ANALYZE|DO)\s(?!DATABASE\s)"
)
TEMPORARY = re.compile(r"\s*CREATE TEMP")
COPY_OF_QUERY = re.compile(r"\s*COPY\s*\((.*)\)\s*TO\s", re.DOTALL)


def modules() -> list[ModuleType]:
    names = [each.name for each in pkgutil.walk_packages(app.__path__, "app.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def constants(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Names and texts of the statements among a module's constants, temporary tables first."""
    for name, text in sorted(vars(module).items(), key=lambda item: not TEMPORARY.match(str(item[1]))):
        is_sql = isinstance(text, str) and any(kind.match(text) for kind in (PREPARABLE, EXECUTABLE, COPY_OF_QUERY))
        if is_sql and name.isupper():
            yield name, text


STATEMENTS = {module.__name__: dict(constants(module)) for module in modules()}


async def test_every_statement_fits_the_schema(connection: Connection) -> None:
    wrong = [reason for module in STATEMENTS for reason in await wrong_statements(connection, module)]
    assert wrong == []


async def wrong_statements(connection: Connection, module: str) -> list[str]:
    wrong = []
    transaction = connection.transaction()
    await transaction.start()
    for name, text in STATEMENTS[module].items():
        try:
            await try_statement(connection, text)
        except asyncpg.PostgresError as error:
            wrong.append(f"{module}.{name}: {error}")
    await transaction.rollback()
    return wrong


async def try_statement(connection: Connection, text: str) -> None:
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        if EXECUTABLE.match(text):
            await connection.execute(text)
        else:
            query = COPY_OF_QUERY.match(text)
            await connection.prepare(query[1] if query else text)
    except asyncpg.PostgresError:
        await savepoint.rollback()
        raise
    await (savepoint.commit() if TEMPORARY.match(text) else savepoint.rollback())


def test_statements_are_found() -> None:
    assert {"CREATE_SCHEMA_MIGRATION", "SELECT_APPLIED", "INSERT_APPLIED", "LOCK"} <= STATEMENTS["app.migrate"].keys()


@pytest.mark.parametrize("text", ["SELECT no_such_column FROM ping", "COPY (SELECT 1 FROM no_such_table) TO STDOUT"])
async def test_a_statement_that_does_not_fit_the_schema_is_caught(connection: Connection, text: str) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await try_statement(connection, text)
