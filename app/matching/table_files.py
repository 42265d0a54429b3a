"""Tables in files: Parquet or CSV, gzipped or not, or from standard input; told apart by their first bytes."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from app.failure import Failure

STDIN: Final = "-"
OUT_SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")

_PARQUET_MAGIC: Final = b"PAR1"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_HEADER_BYTES: Final = 1 << 16
_BLOCK_BYTES: Final = 1 << 23  # the longest row


class Torn(NamedTuple):
    """A row of a CSV file that has another number of fields than the header, and so is in no table."""

    row: int  # from 1, the header not counted
    message: str


class FileTable(NamedTuple):
    """Some columns of a file, and the rows that are not among them."""

    name: str
    table: pa.Table  # columns of a CSV file are all text
    found: list[str]  # names of all its columns
    torn: list[Torn]


def read_table(file: str, wanted: tuple[str, ...]) -> FileTable:
    """Read those of the wanted columns that a file has; `-` is standard input.

    Raises Failure if it cannot be read, or holds a column twice.
    """
    name = "standard input" if file == STDIN else file
    try:
        content = _content(file)
        if content[:4].to_pybytes() == _PARQUET_MAGIC:
            return _parquet(name, content, wanted)
        return _csv(name, content, wanted)
    except (OSError, pa.ArrowException, gzip.BadGzipFile, EOFError, zlib.error) as error:
        # An error of the file system names the file once more, with a number before it.
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise Failure(f"{name} cannot be read: {why}") from None


def write_table(table: pa.Table, out: Path) -> None:
    """Write a table as its file's name says, whole or not at all. Raises Failure if that cannot be done."""
    part = out.with_name(f"{out.name}.part")
    try:
        if out.name.endswith(".parquet"):
            pyarrow.parquet.write_table(table, part)
        else:
            compression = "gzip" if out.name.endswith(".gz") else None
            with pa.output_stream(str(part), compression=compression) as stream:
                pyarrow.csv.write_csv(_with_times_as_text(table), stream)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failure(f"{out} cannot be written: {error}") from None


def _with_times_as_text(table: pa.Table) -> pa.Table:
    """Times as RFC 3339 has them; pyarrow would write a space for the T."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            moments = table.column(at).to_numpy()
            text = np.char.add(np.datetime_as_string(moments, unit="us"), "Z")
            table = table.set_column(at, field.name, pa.array(text, pa.string(), mask=np.isnat(moments)))
    return table


def _content(file: str) -> pa.Buffer:
    path = Path(file)
    if file == STDIN:
        content = pa.py_buffer(sys.stdin.buffer.read())
    elif path.is_file() and path.stat().st_size:
        with pa.memory_map(file) as mapped:
            content = mapped.read_buffer()
    else:  # a pipe, or nothing that can be read
        content = pa.py_buffer(path.read_bytes())
    if content[:2].to_pybytes() == _GZIP_MAGIC:
        return pa.py_buffer(gzip.decompress(content))
    return content


def _parquet(name: str, content: pa.Buffer, wanted: tuple[str, ...]) -> FileTable:
    parquet = pyarrow.parquet.ParquetFile(pa.BufferReader(content))
    found = parquet.schema_arrow.names
    return FileTable(name, parquet.read(columns=_once(found, wanted)), found, [])


def _csv(name: str, content: pa.Buffer, wanted: tuple[str, ...]) -> FileTable:
    header = next(csv.reader(io.StringIO(content[:_HEADER_BYTES].to_pybytes().decode("utf-8-sig", "replace"))), [])
    names = _once(header, wanted)
    torn: list[Torn] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        # The reader counts the header as row 1, and counts only when it is on one thread.
        torn.append(Torn((row.number or 1) - 1, f"{row.actual_columns} fields, the header has {row.expected_columns}"))
        return "skip"

    table = _read_csv(content, names, skip, on_threads=True)
    if torn:
        torn.clear()
        table = _read_csv(content, names, skip, on_threads=False)
    return FileTable(name, table, header, torn)


def _once(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    for name in wanted:
        if names.count(name) > 1:
            raise pa.ArrowInvalid(f"it has {names.count(name)} columns `{name}`")
    return [name for name in wanted if name in names]


def _read_csv(
    content: pa.Buffer, names: list[str], skip: Callable[[pyarrow.csv.InvalidRow], str], *, on_threads: bool
) -> pa.Table:
    if not names:
        return pa.table({})
    return pyarrow.csv.read_csv(
        pa.BufferReader(content),
        read_options=pyarrow.csv.ReadOptions(use_threads=on_threads, block_size=_BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=names, column_types=dict.fromkeys(names, pa.string())
        ),
    )
