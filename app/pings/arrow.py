"""Arrow IPC streams from outside: read without trusting their lengths, offsets or indices."""

import struct
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import BadBody, TooLarge

# Longer than any text that a ping's field may hold, so that a cut one is still refused.
_TEXT_LIMIT: Final = 300  # characters


def read_arrow(body: bytes, row_limit: int) -> pa.Table:
    """Read an IPC stream. Raises BadBody if it is none, TooLarge if it has too many rows.

    Nothing in the result is much larger than the body: compressed buffers are refused, because a kilobyte can claim to
    be a terabyte (the body as a whole may be compressed), and long texts of dictionaries are cut.
    """
    try:
        _refuse_compressed(body)
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            batches = []
            for batch in reader:
                batch.validate(full=True)
                batches.append(batch)
                if sum(each.num_rows for each in batches) > row_limit:
                    raise TooLarge(f"A body has at most {row_limit:,} pings; send more in several.")
            table = pa.Table.from_batches(batches, reader.schema)
        columns = [_one_array(column) for column in table.columns]
        return pa.Table.from_arrays(columns, table.column_names)
    except (pa.ArrowException, OSError, struct.error, UnicodeDecodeError) as error:
        raise BadBody(f"The body is no Arrow IPC stream: {str(error)[:200]}.") from None


def json_cells(column: pa.Array) -> list[Any]:
    """Cells as JSON can say them; of a type that no field of a ping has, only its name."""
    if pa.types.is_timestamp(column.type):
        zone = "" if column.type.tz is None else "Z"
        ticks = column.cast(pa.int64()).fill_null(0).to_numpy().view(f"M8[{column.type.unit}]")
        return [
            f"{time}{zone}" if is_valid else None
            for time, is_valid in zip(ticks.astype(str), column.is_valid().to_pylist(), strict=True)
        ]
    if pa.types.is_floating(column.type):
        return [cell if cell is None or np.isfinite(cell) else str(cell) for cell in column.to_pylist()]
    if _is_plain(column.type) or (pa.types.is_dictionary(column.type) and _is_plain(column.type.value_type)):
        cells: list[Any] = column.to_pylist()
        return cells
    return [str(column.type) if is_valid else None for is_valid in column.is_valid().to_pylist()]


def _is_plain(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_integer,
            pa.types.is_boolean,
            pa.types.is_null,
        )
    )


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        # An instant stays what it is, and a zone's name may be anything.
        return array.cast(pa.timestamp(array.type.unit, "UTC"))
    if pa.types.is_dictionary(array.type) and array.type.value_type in {pa.string(), pa.large_string()}:
        cut = pc.utf8_slice_codeunits(array.dictionary, 0, _TEXT_LIMIT)
        return pa.DictionaryArray.from_arrays(array.indices, cut)
    return array


# Where the flatbuffers of Arrow's format keep what is needed here (Message.fbs: Message, RecordBatch, DictionaryBatch).
_MESSAGE_HEADER: Final = 2
_BATCH_COMPRESSION: Final = 3
_DICTIONARY_BATCH: Final = 1


def _refuse_compressed(body: bytes) -> None:
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if message.type == "schema":
            continue
        metadata = message.metadata.to_pybytes()
        (root,) = struct.unpack_from("<I", metadata)
        batch = _followed(metadata, _field(metadata, root, _MESSAGE_HEADER))
        if message.type == "dictionary":
            batch = _followed(metadata, _field(metadata, batch, _DICTIONARY_BATCH))
        if _field(metadata, batch, _BATCH_COMPRESSION):
            raise BadBody("The stream's buffers are compressed; send it plain, with Content-Encoding if need be.")


def _field(metadata: bytes, table: int, number: int) -> int:
    """Where a table of a flatbuffer keeps a field; 0 if it has it not."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    if vtable < 0 or 4 + 2 * number >= struct.unpack_from("<H", metadata, vtable)[0]:
        return 0
    offset: int = struct.unpack_from("<H", metadata, vtable + 4 + 2 * number)[0]
    return offset and table + offset


def _followed(metadata: bytes, place: int) -> int:
    """The table that a field refers to."""
    return place + int(struct.unpack_from("<I", metadata, place)[0])
