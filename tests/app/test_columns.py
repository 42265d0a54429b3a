"""Binary COPY both ways, against the real server."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.columns import copy_rows_in, copy_rows_out, from_binary_copy, to_binary_copy
from app.db import Connection

EVERY_TYPE = np.dtype(
    [
        ("small", "i2"),
        ("whole", "i4"),
        ("big", "i8"),
        ("single", "f4"),
        ("double", "f8"),
        ("yes", "?"),
        ("at", "M8[us]"),
        ("id", "V16"),
    ]
)
CREATE_EVERY_TYPE = """
    CREATE TEMP TABLE IF NOT EXISTS every_type (
        small smallint NOT NULL, whole integer NOT NULL, big bigint NOT NULL, single real NOT NULL,
        double double precision NOT NULL, yes boolean NOT NULL, at timestamptz NOT NULL, id uuid NOT NULL
    )
"""
# What both hold: PostgreSQL begins in 4714 BC and ends in the year 294276.
TIMES = st.integers(-210_866_803_200_000_000, 9_223_371_331_200_000_000 - 1).map(lambda us: np.datetime64(us, "us"))
ROWS = hnp.arrays(
    EVERY_TYPE,
    st.integers(0, 20),
    elements=st.tuples(
        hnp.from_dtype(np.dtype("i2")),
        hnp.from_dtype(np.dtype("i4")),
        hnp.from_dtype(np.dtype("i8")),
        st.floats(width=32),
        st.floats(),
        st.booleans(),
        TIMES,
        st.binary(min_size=16, max_size=16).map(np.void),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=ROWS)
async def test_what_goes_in_comes_out(connection: Connection, records: np.ndarray[Any, Any]) -> None:
    await connection.execute(CREATE_EVERY_TYPE)
    await connection.execute("TRUNCATE every_type")
    await copy_rows_in(connection, "every_type", list(EVERY_TYPE.names or ()), records)
    back = await copy_rows_out(connection, "SELECT * FROM every_type", dtype=EVERY_TYPE)
    assert back.dtype == EVERY_TYPE
    assert back.tobytes() == records.tobytes()


async def test_values_mean_the_same_on_both_sides(connection: Connection) -> None:
    await connection.execute(CREATE_EVERY_TYPE)
    an_id = UUID("00010203-0405-0607-0809-0a0b0c0d0e00")  # a closing zero byte is kept
    at = datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)
    at_us = int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    row = (-3, 70_000, 1 << 40, 0.5, -51.4778543, True, np.datetime64(at_us, "us"), np.void(an_id.bytes))
    await copy_rows_in(connection, "every_type", list(EVERY_TYPE.names or ()), np.array([row], EVERY_TYPE))
    stored = await connection.fetchrow("SELECT * FROM every_type")
    assert stored is not None
    assert tuple(stored) == (-3, 70_000, 1 << 40, 0.5, -51.4778543, True, at, an_id)


async def test_a_query_takes_arguments_and_keeps_its_order(connection: Connection) -> None:
    query = "SELECT n FROM unnest($1::int8[]) AS n WHERE n < $2 ORDER BY n DESC"
    rows = await copy_rows_out(connection, query, [5, 1, 9, 3], 9, dtype=np.dtype([("n", "i8")]))
    assert rows["n"].tolist() == [5, 3, 1]


async def test_a_repeated_row_refuses_the_whole_copy(connection: Connection) -> None:
    await connection.execute("CREATE TEMP TABLE once (n integer PRIMARY KEY)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await copy_rows_in(connection, "once", ["n"], np.array([(1,), (2,), (1,)], [("n", "i4")]))
    assert await connection.fetchval("SELECT count(*) FROM once") == 0


NULLS = [
    "SELECT NULL::int4, 1::int4",
    "SELECT 1::int4, NULL::int4",
    "SELECT * FROM (VALUES (1::int4, 2::int4), (3, NULL)) AS t",
]


@pytest.mark.parametrize("query", NULLS)
async def test_a_null_is_refused(connection: Connection, query: str) -> None:
    with pytest.raises(ValueError, match="NULL"):
        await copy_rows_out(connection, query, dtype=np.dtype([("a", "i4"), ("b", "i4")]))


async def test_nulls_that_add_up_to_whole_rows_are_refused(connection: Connection) -> None:
    # A row is 2 + 4 + 4 bytes; five rows with a NULL, of 6 bytes each, are three rows' worth of bytes.
    query = "SELECT NULL::int4 FROM generate_series(1, 5)"
    with pytest.raises(ValueError, match="NULL"):
        await copy_rows_out(connection, query, dtype=np.dtype([("a", "i4")]))


@pytest.mark.parametrize(
    "query",
    ["SELECT 1::int8, 2::int4", "SELECT 1::int4", "SELECT 1::int4, 2::int4, 3::int4", "SELECT 1::int2, 2::int8"],
)
async def test_columns_of_another_width_or_number_are_refused(connection: Connection, query: str) -> None:
    with pytest.raises(ValueError, match="another type"):
        await copy_rows_out(connection, query, dtype=np.dtype([("a", "i4"), ("b", "i4")]))


async def test_columns_whose_widths_only_add_up_are_refused(connection: Connection) -> None:
    query = r"SELECT 1::int2, '\x010203040506'::bytea"
    with pytest.raises(ValueError, match="length of a is not 4"):
        await copy_rows_out(connection, query, dtype=np.dtype([("a", "i4"), ("b", "i4")]))


def test_a_row_that_counts_its_fields_otherwise_is_refused() -> None:
    whole = bytearray(to_binary_copy(np.zeros(2, [("a", "i4")])))
    whole[20] = 2
    with pytest.raises(ValueError, match="fields is not 1"):
        from_binary_copy(whole, np.dtype([("a", "i4")]))


@pytest.mark.parametrize("end", ["infinity", "-infinity"])
async def test_an_infinite_time_is_refused(connection: Connection, end: str) -> None:
    with pytest.raises(ValueError, match="infinite"):
        await copy_rows_out(connection, f"SELECT '{end}'::timestamptz", dtype=np.dtype([("at", "M8[us]")]))


def test_not_a_time_is_refused() -> None:
    with pytest.raises(ValueError, match="column at: a time is none"):
        to_binary_copy(np.array([(np.datetime64("NaT", "us"),)], [("at", "M8[us]")]))


@pytest.mark.parametrize("kind", ["S16", "O", "u4", ">i4", "M8[s]", "V8"])
def test_a_type_without_a_counterpart_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="column odd"):
        to_binary_copy(np.zeros(1, [("odd", kind)]))


def test_bytes_cut_off_anywhere_are_refused() -> None:
    whole = bytes(to_binary_copy(np.zeros(2, EVERY_TYPE)))
    assert len(from_binary_copy(whole, EVERY_TYPE)) == 2
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"COPY|wide"):
            from_binary_copy(whole[:length], EVERY_TYPE)
