"""What history is made of is only ever added to: the database itself refuses to change it."""

import asyncpg
import pytest

from app.db import Connection

HISTORY = (
    "activation",
    "assignment",
    "audit_event",
    "decision",
    "device_event",
    "incident_version",
    "licence",
    "outcome",
    "profile",
)


@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET {} = DEFAULT"])
async def test_history_cannot_be_changed(connection: Connection, change: str) -> None:
    for table in HISTORY:
        column = await connection.fetchval(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 1", table
        )
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await connection.execute(change.format(table, column))
