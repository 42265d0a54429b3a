"""Pings and chunks in one answer of PostgreSQL: rows of integers whose last column is a payload, by binary COPY.

`app.columns` reads rows of one width; here the last column is as long as it is, and empty in a row that is a ping by
itself. 0.1 µs a row here, most of it PostgreSQL's and asyncpg's; a chunk is a row.
"""

import re
from datetime import datetime
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.db import Connection
from matcher.packed import SPARE_BYTES
from matcher.records import Records, read_records

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, flags, length of the extension area
_TRAILER: Final = b"\xff\xff"  # a row of -1 fields
# PostgreSQL counts its microseconds from 2000-01-01.
EPOCH_US: Final = 946_684_800_000_000
_PARAMETER: Final = re.compile(r"\$(\d+)\b")

# What goes into the text of a statement. An array is of integers, or of UTC times as `M8[us]`.
Argument: TypeAlias = int | datetime | list[int] | list[datetime] | NDArray[Any]


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


async def copy_out(connection: Connection, query: str, *args: Argument) -> bytearray:
    """Run a query and return what COPY sent, in one round trip.

    COPY takes no parameters, so arguments go into the text of the statement, as `'…'`: what the query does with one has
    to say its type. asyncpg would ask the server to quote them, after it has asked for their types: two more round
    trips and the whole query parsed once more, 3 ms of the 50 from a ping to its alert.
    """
    received = bytearray()

    async def take(piece: bytes) -> None:
        received.extend(piece)

    written = _PARAMETER.sub(lambda found: _literal(args[int(found[1]) - 1]), query)
    await connection.copy_from_query(written, output=take, format="binary")
    return received


def _literal(argument: Argument) -> str:
    if isinstance(argument, np.ndarray):
        return f"'{{{','.join(_texts(argument))}}}'"
    if isinstance(argument, list):
        return f"'{{{','.join(map(_plain, argument))}}}'"
    return f"'{_plain(argument)}'"


def _texts(array: NDArray[Any]) -> list[str]:
    if array.dtype == np.dtype("M8[us]"):
        # All at once in a quarter of the time.
        times: list[str] = np.datetime_as_string(array, timezone="UTC").tolist()
        return times
    return list(map(str, array.astype(np.int64, casting="safe").tolist()))


def _plain(value: int | datetime) -> str:
    """Write a value of digits and signs, none of which means anything within a literal or an array."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.isoformat()
    return str(int(value))
