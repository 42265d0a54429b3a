"""A store that is written to as the API writes, and what must be in it, remembered here."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pytest

from app.access.organisations import find_or_create_organisation
from app.access.viewer import Viewer
from app.db import Pool
from app.pings.delivery import Delivery
from app.pings.payload import PING
from app.pings.store import PingStore, Receipt
from app.trails.box import Box, read_box
from app.trails.reading import ALL_COLUMNS
from app.trails.sealing import seal_some
from app.trails.store import Stretches, read_pings, read_stretches

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
# A day long ago, so that all its hours are closed.
DAY = 19_000
NOON_US = DAY * DAY_US + 12 * HOUR_US
CLOSED = datetime(2030, 1, 1, tzinfo=UTC)


class Fix(NamedTuple):
    """What a ping is stored as, but for its batch."""

    device: int
    at_us: int
    source: int = 1
    lon_e7: int = -15_500_000
    lat_e7: int = 538_000_000
    accuracy_cm: int = 850
    speed_cmps: int = 125
    direction_cdeg: int = 9_000


class TrailWorld:
    """Writes through the ingest and reads through the store."""

    def __init__(self, pool: Pool, viewer: Viewer) -> None:
        self.pool = pool
        self.viewer = viewer
        self.store = PingStore(pool)

    async def send(self, *fixes: Fix) -> Receipt:
        """Store a batch. Devices are numbers here, serials there; the first ones sent get the ids 1, 2, 3 …"""
        rows = np.array([tuple(fix) for fix in fixes], PING)
        serials, rows["device_id"] = np.unique(rows["device_id"], return_inverse=True)
        return await self.store.store(
            self.viewer,
            Delivery(rows, np.arange(rows.size), [str(serial) for serial in serials], [], [], {}, bytes(32)),
        )

    async def ids(self) -> dict[int, int]:
        """Serials by device id."""
        return {r["device_id"]: int(r["serial"]) for r in await self.pool.fetch("SELECT device_id, serial FROM device")}

    async def read(self, from_us: int = DAY * DAY_US, to_us: int = (DAY + 1) * DAY_US - 1) -> list[Fix]:
        """All columns of all devices' pings of a time, as they come."""
        serials = await self.ids()
        n = len(serials)
        stretches = Stretches(np.array(sorted(serials), np.int32), np.full(n, from_us), np.full(n, to_us))
        async with self.pool.acquire() as c, c.transaction():
            found = await read_pings(c, stretches)
        columns = [found.values[ALL_COLUMNS.index(name)].tolist() for name in ALL_COLUMNS[:-1]]
        devices = [serials[device] for device in found.device_id.tolist()]
        return [Fix(*row) for row in zip(devices, *columns, strict=True)]

    async def read_trails(self, from_us: int, to_us: int) -> list[tuple[int, ...]]:
        """Device, time and position of all devices' pings of a time."""
        serials = await self.ids()
        n = len(serials)
        stretches = Stretches(np.array(sorted(serials), np.int32), np.full(n, from_us), np.full(n, to_us))
        async with self.pool.acquire() as c, c.transaction():
            trails = await read_stretches(c, stretches)
        devices = [serials[device] for device in np.repeat(trails.device_id, np.diff(trails.starts)).tolist()]
        return list(zip(devices, *(column.tolist() for column in trails[2:]), strict=True))

    async def read_box(self, box: Box) -> list[tuple[int, ...]]:
        serials = await self.ids()
        async with self.pool.acquire() as c, c.transaction(isolation="repeatable_read"):
            trails = await read_box(c, box, lambda hours: np.ones(hours.device_id.size, np.bool_))
        devices = [serials[device] for device in np.repeat(trails.device_id, np.diff(trails.starts)).tolist()]
        return list(zip(devices, *(column.tolist() for column in trails[2:]), strict=True))

    async def seal(self, day: int = DAY, hours: int = 100) -> int:
        """Seal a day; how many pings that were."""
        total = 0
        while (sealed := await seal_some(self.pool, day, CLOSED, hours)).hours:
            total += sealed.pings
        return total

    async def count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table}"))


def minutes(device: int, first_us: int, n: int, **columns: int) -> list[Fix]:
    """Fixes a minute apart that wander."""
    return [
        Fix(device, first_us + i * 60_000_000, lon_e7=-15_500_000 + 977 * i, lat_e7=538_000_000 - 991 * i, **columns)
        for i in range(n)
    ]


def kept(fixes: Iterable[Fix]) -> list[Fix]:
    """What is read after these were stored: of each key the smallest, unknown accuracy last."""
    smallest: dict[tuple[int, ...], Fix] = {}
    for fix in sorted(fixes, key=lambda fix: (fix.accuracy_cm <= 0, fix.accuracy_cm, *fix)):
        smallest.setdefault((fix.device, fix.at_us, fix.source), fix)
    return sorted(smallest.values())


@pytest.fixture
async def world(pool: Pool) -> TrailWorld:
    async with pool.acquire() as connection:
        organisation_id = await find_or_create_organisation(connection, "tags", "contractor", None)
    viewer = Viewer(organisation_id, "tags", "contractor", frozenset({"pings:write"}))
    return TrailWorld(pool, viewer)
