"""Minute fixes as bodies of `POST /v1/pings`, and their way to the service, several at a time."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.failure import Failure
from benchmarks.minute_fixes import Rows
from benchmarks.patient_client import PatientClient

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"
# Batches that are on their way at one time.
IN_FLIGHT: Final = 6
_MADE_AT_ONCE: Final = 200_000


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
    return next(json_bodies(rows, rows.size))


def json_bodies(rows: Rows, batch_pings: int) -> Iterator[Delivery]:
    """Cut rows into bodies of so many pings, the last one of what is left; 1.5 µs a ping, however small the bodies."""
    at_once = max(_MADE_AT_ONCE // batch_pings, 1) * batch_pings
    for begin in range(0, rows.size, at_once):
        objects = _objects(rows[begin : begin + at_once])
        # The texts of an array lie side by side.
        _, ends, texts = objects.buffers()
        end = np.frombuffer(ends, np.int32)
        for start in range(0, len(objects), batch_pings):
            stop = min(start + batch_pings, len(objects))
            content = b"[" + texts[end[start] : end[stop] - 1].to_pybytes() + b"]"
            yield Delivery(content, JSON, stop - start)


def _objects(rows: Rows) -> pa.StringArray:
    """Each row as a JSON object and the comma after it."""
    signs = list[str | pa.Array]()
    for name, column in _columns(rows).items():
        quote = '"' if pa.types.is_string(column.type) else ""
        signs += [f'{"," if signs else "{"}"{name}":{quote}', column.cast(pa.string()), quote]
    return pc.binary_join_element_wise(*signs, "},", "")


def column_bodies(rows: Rows, batch_pings: int) -> Iterator[Delivery]:
    """Cut rows into bodies of so many pings, each a JSON object of arrays, the last one of what is left."""
    for start in range(0, rows.size, batch_pings):
        part = rows[start : start + batch_pings]
        columns = {name: column.to_pylist() for name, column in _columns(part).items()}
        yield Delivery(msgspec.json.encode(columns), JSON, part.size)


def as_arrow(rows: Rows) -> Delivery:
    """As an Arrow IPC stream."""
    columns = {
        name: column.dictionary_encode() if pa.types.is_string(column.type) else column
        for name, column in _columns(rows).items()
    }
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Delivery(sink.getvalue().to_pybytes(), ARROW, rows.size)


def arrow_bodies(rows: Rows, batch_pings: int) -> Iterator[Delivery]:
    """Cut rows into bodies of so many pings, the last one of what is left."""
    for start in range(0, rows.size, batch_pings):
        yield as_arrow(rows[start : start + batch_pings])


def _columns(rows: Rows) -> dict[str, pa.Array]:
    devices, place = np.unique(rows["device_id"], return_inverse=True)
    return {
        "device_id": pa.array([serial(device) for device in devices.tolist()]).take(pa.array(place)),
        "fixed_at_us": pa.array(rows["fixed_at"].astype(np.int64)),
        "lon": pa.array(rows["lon_e7"] / 1e7),
        "lat": pa.array(rows["lat_e7"] / 1e7),
        "accuracy_m": pa.array(rows["accuracy_cm"] / 100),
        "speed_mps": pa.array(rows["speed_cmps"] / 100),
        "direction_deg": pa.array(rows["direction_cdeg"] / 100),
        "source": pa.repeat("gps", rows.size),
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
