"""Devices by the serial that their contractor gave them."""

from collections.abc import Iterable
from typing import cast

from app.db import Connection, Pool

FIND = "SELECT serial, device_id FROM device WHERE contractor_id = $1 AND serial = ANY($2::text[])"
INSERT = """
INSERT INTO device (contractor_id, serial) SELECT $1, serial FROM unnest($2::text[]) AS serial
ON CONFLICT (contractor_id, serial) DO NOTHING
"""


async def find_or_create_devices(connection: Connection, contractor_id: int, serials: Iterable[str]) -> dict[str, int]:
    """Give the device id of each serial; a device that nobody has heard of is made, unassigned.

    Serials are 1 to 200 characters. New ones are inserted in sorted order, so that two callers never wait for each
    other in a circle, as long as neither has inserted devices earlier in its transaction.
    """
    wanted = sorted(set(serials))
    found = await _find(connection, contractor_id, wanted)
    missing = [serial for serial in wanted if serial not in found]
    if missing:
        await connection.execute(INSERT, contractor_id, missing)
        # Read again and not RETURNING: another caller may have made some of them in between.
        found |= await _find(connection, contractor_id, missing)
    return found


async def _find(connection: Connection, contractor_id: int, serials: list[str]) -> dict[str, int]:
    return {row["serial"]: row["device_id"] for row in await connection.fetch(FIND, contractor_id, serials)}


class KnownDevices:
    """Devices already found in this database, by contractor and serial. A serial's device never changes."""

    _LIMIT = 200_000  # entries, about 30 MB: many times the tags in use

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ids: dict[int, dict[str, int]] = {}

    async def ids(self, contractor_id: int, serials: list[str]) -> list[int]:
        """Device ids of these serials, in their order; unknown devices are made, in a transaction of their own."""
        known = self._ids.setdefault(contractor_id, {})
        ids = list(map(known.get, serials))
        if None not in ids:
            return cast("list[int]", ids)
        missing = [serial for serial, device_id in zip(serials, ids, strict=True) if device_id is None]
        async with self._pool.acquire() as connection:
            found = await find_or_create_devices(connection, contractor_id, missing)
        given = [
            found[serial] if device_id is None else device_id for serial, device_id in zip(serials, ids, strict=True)
        ]
        self._remember(contractor_id, found)
        return given

    def _remember(self, contractor_id: int, found: dict[str, int]) -> None:
        if sum(map(len, self._ids.values())) + len(found) > self._LIMIT:
            self._ids.clear()
        self._ids.setdefault(contractor_id, {}).update(found)
