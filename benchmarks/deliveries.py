"""Minute fixes as bodies of `POST /v1/pings`, and their way to the service, several at a time."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from app.failure import Failure
from benchmarks.minute_fixes import Rows
from benchmarks.patient_client import PatientClient

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
# Batches that are on their way at one time.
IN_FLIGHT: Final = 6


def serial(device_id: int) -> str:
    """What the contractor calls a tag."""
    return f"T{device_id:06}"


class Delivery(NamedTuple):
    """A body and how many pings it holds."""

    content: bytes
    media_type: str
    pings: int


def as_json(rows: Rows) -> Delivery:
    """As an array of objects, as most contractors would send them."""
    values = zip(*(column.tolist() for column in _columns(rows).values()), strict=True)
    names = tuple(_columns(rows[:0]))
    return Delivery(msgspec.json.encode([dict(zip(names, row, strict=True)) for row in values]), JSON, rows.size)


def as_arrow(rows: Rows) -> Delivery:
    """As an Arrow IPC stream."""
    columns = _columns(rows)
    serials, place = np.unique(columns["device_id"], return_inverse=True)
    named = pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), pa.array(serials.tolist()))
    arrays = {name: pa.array(column) for name, column in columns.items() if name not in {"device_id", "source"}}
    source = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows.size, np.int8)), pa.array(["gps"]))
    table = pa.table({"device_id": named, **arrays, "source": source})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Delivery(bytes(sink.getvalue()), ARROW, rows.size)


def _columns(rows: Rows) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "device_id": np.char.mod("T%06d", rows["device_id"]),
        "fixed_at_us": rows["fixed_at"].astype(np.int64),
        "lon": rows["lon_e7"] / 1e7,
        "lat": rows["lat_e7"] / 1e7,
        "accuracy_m": rows["accuracy_cm"] / 100,
        "speed_mps": rows["speed_cmps"] / 100,
        "direction_deg": rows["direction_cdeg"] / 100,
        "source": np.full(rows.size, "gps"),
    }


class Sent(NamedTuple):
    """What became of the deliveries."""

    accepted: int
    duplicates: int


async def send(
    client: PatientClient, deliveries: Iterator[Delivery], tell: Callable[[int], None], in_flight: int = IN_FLIGHT
) -> Sent:
    """Send all, in their order but for those on their way at one time; `tell` hears of the pings of each.

    Raises Failure if a ping is rejected.
    """
    accepted, duplicates = 0, 0

    async def send_from() -> None:
        nonlocal accepted, duplicates
        for delivery in deliveries:
            answer = await client.post("/v1/pings", delivery.content, delivery.media_type)
            if answer["rejected"] or answer["conflicts"]:
                raise Failure(f"pings were not taken as they are: {answer}")
            accepted += answer["accepted"]
            duplicates += answer["duplicates"]
            tell(delivery.pings)

    async with asyncio.TaskGroup() as senders:
        for _ in range(in_flight):
            senders.create_task(send_from())
    return Sent(accepted, duplicates)
