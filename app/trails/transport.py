"""Pings and chunks in one answer of PostgreSQL: rows of integers whose last column is a payload, by binary COPY.

`app.columns` reads rows of one width; here the last column is as long as it is, and empty in a row that is a ping by
itself. 0.1 µs a row here, most of it PostgreSQL's and asyncpg's; a chunk is a row.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.db import Connection
from matcher.packed import SPARE_BYTES
from matcher.records import Records, read_records

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the extension area
_TRAILER: Final = b"\xff\xff"  # a row of -1 fields
# PostgreSQL counts its microseconds from 2000-01-01.
EPOCH_US: Final = 946_684_800_000_000


class Answer:
    """R rows as they came: `bytes` in which the payloads lie, and where; and the integers, a row for each column.

    A column of times is in microseconds since 2000-01-01, as PostgreSQL counts.
    """

    def __init__(self, received: bytearray, widths: tuple[int, ...]) -> None:
        end = len(received) - len(_TRAILER)
        if received[: len(_HEADER)] != _HEADER or received[-len(_TRAILER) :] != _TRAILER or end < len(_HEADER):
            raise ValueError("these bytes are not a whole binary COPY")
        received.extend(bytes(SPARE_BYTES))
        self.bytes: NDArray[np.uint8] = np.frombuffer(received, np.uint8)
        self.records: Records = read_records(self.bytes, len(_HEADER), end, widths)


async def copy_out(connection: Connection, query: str, *args: object) -> bytearray:
    """Run a query and return what COPY sent. Arguments go into the text of the statement, quoted by the server."""
    received = bytearray()

    async def take(piece: bytes) -> None:
        received.extend(piece)

    await connection.copy_from_query(query, *args, output=take, format="binary")
    return received
