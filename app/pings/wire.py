"""Bodies of pings: rows from JSON, columnar JSON, NDJSON and Arrow, as columns.

    application/json                      an array of objects, or an object of arrays of one length
    application/x-ndjson                  an object a line
    application/vnd.apache.arrow.stream   an Arrow IPC stream; columns by name

Decoding costs 0.4 µs a ping as JSON array, 0.7 if a row of it has another field than a ping's or of another type, 0.6
as NDJSON, 0.2 as columnar JSON, less as Arrow.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from app.errors import BadBody, TooLarge, UnknownMediaType
from app.pings.arrow import json_cells, read_arrow
from app.pings.cells import Column
from app.pings.checks import FIELDS
from app.pings.problems import Problems

ROW_LIMIT: Final = 1_000_000
# A ping has eight values; this many a row only in a body that is made to fill the memory with empty ones.
_VALUES_A_ROW: Final = 16


class Sent(NamedTuple):
    """A body's N rows."""

    columns: dict[str, Column]  # those of FIELDS that any row has, N cells each
    problems: Problems  # rows that are no records at all
    ignored: Counter[str]  # fields that are none of FIELDS, and how many rows have them
    raw: Callable[[Iterable[int]], list[Any]]  # the given rows as JSON values, as they were sent


def decode(body: bytes, media_type: str, row_limit: int = ROW_LIMIT) -> Sent:
    """Decode a body. Raises UnknownMediaType, BadBody if it cannot be decoded, TooLarge if it has too many rows."""
    if media_type not in _DECODERS:
        raise UnknownMediaType(f"Pings come as {', '.join(_DECODERS)}; this is {media_type}.")
    return _DECODERS[media_type](body, row_limit)


def from_rows(rows: list[Any]) -> Sent:
    """Take rows that were decoded already; one that is no object is a problem of its own."""
    problems = Problems(len(rows))
    return _from_objects(rows, problems)


class Row(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A ping on the wire with nothing out of the ordinary: as such it is decoded in half the time of a dict."""

    device_id: str | None = None
    fixed_at: str | None = None
    fixed_at_us: int | None = None
    lon: float | None = None
    lat: float | None = None
    accuracy_m: float | None = None
    speed_mps: float | None = None
    direction_deg: float | None = None
    source: str | None = None


def _from_json(body: bytes, row_limit: int) -> Sent:
    _refuse_many(body.count(b",") // _VALUES_A_ROW, row_limit)
    try:
        rows = _decode_rows(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return from_any_json(body, row_limit)
    _refuse_many(len(rows), row_limit)
    cells = {name: list(map(attrgetter(name), rows)) for name in FIELDS}
    columns: dict[str, Column] = {name: column for name, column in cells.items() if _has_any(column)}
    # The rows as they were sent are asked for only where one is rejected.
    return Sent(columns, Problems(len(rows)), Counter(), lambda wanted: from_any_json(body, row_limit).raw(wanted))


def _has_any(column: list[Any]) -> bool:
    return any(cell is not None for cell in column)


def from_any_json(body: bytes, row_limit: int) -> Sent:
    """Read JSON of whatever kind. Raises BadBody or TooLarge."""
    decoded = _decode_json(body)
    if isinstance(decoded, dict):
        return _from_columns(decoded, row_limit)
    if not isinstance(decoded, list):
        raise BadBody("The body is neither an array of pings nor an object of columns.")
    _refuse_many(len(decoded), row_limit)
    return from_rows(decoded)


def _from_ndjson(body: bytes, row_limit: int) -> Sent:
    lines = body.split(b"\n")
    if not lines[-1].strip():
        lines.pop()  # the end of the last line
    _refuse_many(len(lines), row_limit)
    rows: list[Any] = []
    is_broken = np.zeros(len(lines), np.bool_)
    for number, line in enumerate(lines):
        try:
            rows.append(_decode_json(line))
        except BadBody:
            rows.append(line.decode(errors="replace"))
            is_broken[number] = True
    problems = Problems(len(lines))
    problems.add(is_broken, "", "not_json", "This line is not JSON.")
    return _from_objects(rows, problems)


def _from_objects(rows: list[Any], problems: Problems) -> Sent:
    objects = rows
    if set(map(type, rows)) - {dict}:
        is_wrong = np.array([type(row) is not dict for row in rows], np.bool_)
        problems.add(is_wrong, "", "wrong_type", "A ping is an object with named fields.")
        objects = [row if type(row) is dict else {} for row in rows]
    present = set().union(*objects)
    columns: dict[str, Column] = {name: [each.get(name) for each in objects] for name in FIELDS if name in present}
    extra = present.difference(FIELDS)
    ignored = Counter(name for name in chain.from_iterable(objects) if name in extra) if extra else Counter[str]()
    return Sent(columns, problems, ignored, lambda wanted: [rows[row] for row in wanted])


def _from_columns(decoded: dict[str, Any], row_limit: int) -> Sent:
    columns = {name: column for name, column in decoded.items() if name in FIELDS}
    if not columns or not all(isinstance(column, list) for column in columns.values()):
        raise BadBody("An object of columns has an array for each field; a single ping goes into an array of one.")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise BadBody(f"The columns have different lengths: {', '.join(map(str, sorted(lengths)))}.")
    count = lengths.pop()
    _refuse_many(count, row_limit)
    ignored = Counter({name: count for name in decoded if name not in columns})

    def raw(wanted: Iterable[int]) -> list[Any]:
        return [{name: column[row] for name, column in columns.items()} for row in wanted]

    return Sent(columns, Problems(count), ignored, raw)


def _from_arrow(body: bytes, row_limit: int) -> Sent:
    table = read_arrow(body, row_limit)
    known = [name for name in table.column_names if name in FIELDS]
    if len(set(known)) < len(known):
        raise BadBody("The Arrow stream has two columns of one name.")
    ignored = Counter({name: table.num_rows for name in table.column_names if name not in FIELDS})
    arrays = {name: table.column(name).chunk(0) for name in known}

    def raw(wanted: Iterable[int]) -> list[Any]:
        rows = pa.array(wanted, pa.int64())
        cells = {name: json_cells(column.take(rows)) for name, column in arrays.items()}
        return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]

    return Sent(dict(arrays), Problems(table.num_rows), ignored, raw)


_decode_plain: Final = msgspec.json.Decoder().decode
_decode_rows: Final = msgspec.json.Decoder(list[Row]).decode


def _decode_json(text: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Decode JSON. Raises BadBody, saying where it stops being JSON."""
    try:
        try:
            return _decode_plain(text)
        except msgspec.ValidationError:
            # So far it is JSON, with a number that no double holds. One such row must not refuse the others.
            return json.loads(text, parse_int=_parse_int, parse_constant=_refuse_constant)
    except (msgspec.DecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadBody(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise BadBody("The body is nested too deeply.") from None


def _parse_int(digits: str) -> float:
    return int(digits) if len(digits) < 20 else float(digits)


def _refuse_constant(name: str) -> None:
    raise BadBody(f"The body is not JSON: it holds {name}.")


def _refuse_many(count: int, row_limit: int) -> None:
    if count > row_limit:
        raise TooLarge(f"A body has at most {row_limit:,} pings; send more in several.")


_DECODERS: Final[dict[str, Callable[[bytes, int], Sent]]] = {
    "application/json": _from_json,
    "application/x-ndjson": _from_ndjson,
    "application/vnd.apache.arrow.stream": _from_arrow,
}
