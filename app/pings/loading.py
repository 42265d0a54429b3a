"""A file of pings, cut into bodies for the API and sent one after the other.

    .parquet                 as Arrow streams
    .csv, .csv.gz            as columnar JSON
    .ndjson, .jsonl, also .gz, and - for stdin    as NDJSON

A column `ts` is taken for `fixed_at` if there is none of that name. Nothing is remembered between calls: a file that is
sent again, whole or from the middle, is duplicates as far as it was stored.
"""

import csv
import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import httpx

from app.failure import Failure
from app.pings.fixed_point import QUANTITIES

BODY_ROWS: Final = 50_000
_ATTEMPTS: Final = 8
_LONGEST_WAIT_S: Final = 60.0
_RETRIED: Final = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}


class Part(NamedTuple):
    """A body's worth of a file."""

    content: bytes
    media_type: str
    rows: int


class Sum(NamedTuple):
    """What became of a file's rows."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0


Report = Callable[[Sum, list[dict[str, Any]]], None]


def load_file(file: str, client: httpx.Client, report: Report) -> Sum:
    """Send a file; `report` hears of the sum so far and of new errors, their lines counted in the file, from 1.

    An answer of 429 or 503, or none, is waited out and the body sent again. Raises Failure if the file cannot be read
    or the service refuses.
    """
    so_far = Sum()
    for part in read_parts(file):
        answer = _post(client, part)
        errors = [{**error, "line": error["line"] + so_far.rows} for error in answer["errors"]]
        counts = {name: getattr(so_far, name) + answer[name] for name in Sum._fields if name != "rows"}
        so_far = Sum(so_far.rows + part.rows, **counts)
        report(so_far, errors)
    return so_far


def read_parts(file: str) -> Iterator[Part]:
    """Cut a file into bodies, in its order. Raises Failure if it is of no known form or cannot be read."""
    name = file.removesuffix(".gz")
    try:
        if file.endswith(".parquet"):
            yield from _parquet_parts(Path(file))
        elif name.endswith(".csv"):
            with _opened(file) as text:
                yield from _csv_parts(text)
        elif name.endswith((".ndjson", ".jsonl")) or file == "-":
            with _opened(file) as text:
                yield from _ndjson_parts(text)
        else:
            raise Failure(f"{file}: pings are read from .parquet, .csv, .ndjson and .jsonl files, and from - for stdin")
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise Failure(f"{file} cannot be read: {error}") from None


def _parquet_parts(path: Path) -> Iterator[Part]:
    import pyarrow as pa  # noqa: PLC0415 - a CSV file does not wait for it
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(BODY_ROWS):
            renamed = batch.rename_columns(_renamed(batch.schema.names))
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, renamed.schema) as writer:
                writer.write_batch(renamed)
            yield Part(sink.getvalue().to_pybytes(), "application/vnd.apache.arrow.stream", batch.num_rows)


def _csv_parts(text: IO[str]) -> Iterator[Part]:
    reader = csv.reader(text)
    names = _renamed(next(reader, []))
    while rows := list(islice(reader, BODY_ROWS)):
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"a line near {reader.line_num} has another number of fields than the header")
        columns = {
            name: [_cell(name, cell) for cell in column]
            for name, column in zip(names, zip(*rows, strict=True), strict=True)
        }
        yield Part(json.dumps(columns).encode(), "application/json", len(rows))


def _ndjson_parts(text: IO[str]) -> Iterator[Part]:
    while lines := list(islice(text, BODY_ROWS)):
        yield Part("".join(lines).encode(), "application/x-ndjson", len(lines))


_NUMBERS: Final = frozenset(quantity.name for quantity in QUANTITIES)


def _cell(name: str, cell: str) -> str | float | None:
    """A CSV cell as JSON has it; what should be a number and is none stays text, and is rejected with its line."""
    if not cell:
        return None
    try:
        if name == "fixed_at_us":
            return int(cell)
        number = float(cell) if name in _NUMBERS else None
    except ValueError:
        return cell
    return cell if number is None or number - number != 0 else number


def _renamed(names: list[str]) -> list[str]:
    if "fixed_at" in names or "fixed_at_us" in names:
        return names
    return ["fixed_at" if name == "ts" else name for name in names]


@contextmanager
def _opened(file: str) -> Iterator[IO[str]]:
    if file == "-":
        yield sys.stdin
    elif file.endswith(".gz"):
        with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
            yield text
    else:
        with Path(file).open(encoding="utf-8", newline="") as text:
            yield text


def _post(client: httpx.Client, part: Part) -> dict[str, Any]:
    for attempt in range(_ATTEMPTS):
        wait_s = min(2.0**attempt, _LONGEST_WAIT_S)
        try:
            answer = client.post("/v1/pings", content=part.content, headers={"Content-Type": part.media_type})
        except httpx.TransportError as error:
            trouble = f"{client.base_url} does not answer: {error}"
        else:
            if answer.status_code == httpx.codes.OK:
                receipt: dict[str, Any] = answer.json()
                return receipt
            trouble = _refusal(answer)
            if answer.status_code not in _RETRIED:
                break
            wait_s = _retry_after_s(answer, wait_s)
        time.sleep(wait_s)
    raise Failure(trouble)


def _refusal(answer: httpx.Response) -> str:
    try:
        return f"{answer.status_code}: {answer.json()['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"the service answered {answer.status_code}"


def _retry_after_s(answer: httpx.Response, otherwise_s: float) -> float:
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_WAIT_S) if asked.isdecimal() else otherwise_s
