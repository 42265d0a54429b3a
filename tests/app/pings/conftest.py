"""A service that takes pings, a contractor's key for it, and a look into what it stored."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.db import Connection
from tests.app.conftest import MakeKey

PostPings = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def key(make_key: MakeKey) -> dict[str, str]:
    return await make_key("tags", "contractor", "pings:write", "pings:read")


def ping(**changes: object) -> dict[str, object]:
    """An acceptable ping; a field given as ... is left out."""
    fields: dict[str, object] = {
        "device_id": "A1",
        "fixed_at": "2024-03-01T09:30:00Z",
        "lon": -2.5879,
        "lat": 51.4545,
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not ...}


STORED = """
SELECT d.serial, (extract(epoch FROM fixed_at) * 1000000)::bigint AS fixed_at_us, source, lon_e7, lat_e7,
    accuracy_cm, speed_cmps, direction_cdeg
FROM ping JOIN device AS d USING (device_id) ORDER BY serial, fixed_at, source
"""


async def stored_pings(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(STORED)]
