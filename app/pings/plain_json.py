"""Large arrays of plain pings in JSON, read as columns with no Python value for each cell.

A kernel reads them without the interpreter: no quicker, but whatever else the process does goes on beside it. Whatever
is unusual in a body, be it one row in a million, takes the whole of it the other way (app/pings/wire.py), which knows
all of JSON and says what is wrong; both ways give the same pings.
"""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.pings.fixed_point import QUANTITIES
from matcher.json_rows import Columns, Kind, read_rows, texts_of

# Below it the other way is as quick: some four hundred pings.
LARGE_BYTES: Final = 64 * 1024
_FIELDS: Final = {
    "device_id": Kind.TEXT,
    "fixed_at": Kind.TEXT,
    "fixed_at_us": Kind.WHOLE,
    **{quantity.name: Kind.NUMBER for quantity in QUANTITIES},
    "source": Kind.TEXT,
}


def read_plain(body: bytes) -> dict[str, pa.Array] | None:
    """Give the fields that any row has, N cells each; None if the body is not plain. 1.5 µs a ping."""
    buffer = np.frombuffer(body, np.uint8)
    columns = read_rows(buffer, _FIELDS)
    if columns is None:
        return None
    return {
        name: _array(buffer, columns, field, kind)
        for field, (name, kind) in enumerate(_FIELDS.items())
        if columns.is_given[field].any()
    }


def warm_up_plain_json() -> None:
    """Compile the kernels, or load them from the cache."""
    assert read_plain(b'[{"device_id":"A1","lon":-1.5}]') is not None


def _array(buffer: NDArray[np.uint8], columns: Columns, field: int, kind: Kind) -> pa.Array:
    is_given = columns.is_given[field]
    if kind is Kind.TEXT:
        offsets, texts = texts_of(buffer, columns.starts[field], columns.ends[field])
        given = None if is_given.all() else pa.py_buffer(np.packbits(is_given, bitorder="little"))
        return pa.Array.from_buffers(pa.string(), is_given.size, [given, pa.py_buffer(offsets), pa.py_buffer(texts)])
    values = (columns.numbers if kind is Kind.NUMBER else columns.wholes)[field]
    return pa.array(values, mask=None if is_given.all() else ~is_given)
