"""Rows in every form, against one row at a time."""

import contextlib
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadBody, TooLarge
from app.pings.body import Body
from app.pings.checks import TimeBounds
from app.pings.delivery import Delivery, Limits, read_delivery
from tests.app.pings.conftest import ping
from tests.app.pings.naive import Fix, check_ping

NOW_US = 1_709_285_400_000_000  # 2024-03-01T09:30:00Z
BOUNDS = TimeBounds(NOW_US - 30 * 86_400_000_000, NOW_US + 300_000_000)
LIMITS = Limits(1 << 20, 1_000)
JSON, NDJSON, ARROW = "application/json", "application/x-ndjson", "application/vnd.apache.arrow.stream"


def read(content: bytes, media_type: str = JSON) -> Delivery:
    return read_delivery(Body(content, "identity", media_type), LIMITS, BOUNDS)


def outcome(delivery: Delivery, count: int) -> list[Fix | set[tuple[str, str]]]:
    """For each row what `check_ping` says of it."""
    rows: list[Any] = [set() for _ in range(count)]
    for problem in delivery.problems:
        rows[problem.line - 1].add((problem.pointer, problem.code))
    for row, fix in zip(delivery.rows.tolist(), delivery.pings.tolist(), strict=True):
        assert rows[row] == set()
        rows[row] = (delivery.serials[fix[0]], *fix[1:])
    assert [reject.problem.line for reject in delivery.rejects] == sorted({p.line for p in delivery.problems})
    return rows


def arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


TIMES = [
    "2024-03-01T09:30:00Z", "2024-03-01T10:30:00.5+01:00", "2024-03-01t09:29:59.1234567z", "2024-02-29 23:59:59-00:30",
    "2024-03-01T09:35:00Z", "2024-03-01T09:35:00.000001Z", "2024-03-01T09:30:00", "2024-03-01", "yesterday", "",
    "2024-02-30T09:30:00Z", "2024-03-01T09:30:60Z", "2024-03-01T24:00:00Z", "2024-03-01T09:30:00+24:00",
    "2024-03-01T09:30:00+01:60", "1969-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59",
    "2024-01-31T09:30:00Z", "2024-01-31T09:29:59.999999Z", "2024-03-01T09:30:00Z\n", "٢024-03-01T09:30:00Z",
]  # fmt: skip
COUNTS = [NOW_US, NOW_US + 300_000_000, NOW_US + 300_000_001, 0, -1, 10**17, 2**63, -(10**30), 1.5, 1e15, True, "1"]
ODD: list[Any] = [True, "1", "", [], {}, {"a": None}]
NUMBERS: list[Any] = [0, -0.0, 1, -1, 0.004, 0.005, 0.015, 359.994, 359.995, 360, 360.01, 90, -90, 90.0000001, 180,
    -180, -180.5, 21474836.47, 21474836.48, 1e300, 10**400, -(10**400), 5e-8, 1.5e-7, 5e-324]  # fmt: skip
SERIALS: list[Any] = [
    "A1",
    "B-2",
    "é",
    "\U0001f600",
    "x" * 200,
    "x" * 201,
    "",
    "a\x00b",
    "a\nb",
    "\x7f",
    "\x9f",
    " ",
    17,
]
SOURCES: list[Any] = ["gps", "GPS", "Wifi", "unknown", "", "lora", "gps ", 1]


def given_or_not(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, ..., *values])


ROWS: st.SearchStrategy[list[Any]] = st.lists(
    st.one_of(
        st.builds(
            ping,
            device_id=given_or_not(SERIALS),
            fixed_at=given_or_not([*TIMES, NOW_US, *ODD]),
            fixed_at_us=st.one_of(st.just(...), given_or_not([*COUNTS, *ODD])),
            lon=st.one_of(st.floats(-181, 181), given_or_not([*NUMBERS, *ODD])),
            lat=st.one_of(st.floats(-91, 91), given_or_not([*NUMBERS, *ODD])),
            accuracy_m=st.one_of(st.floats(0, 1e4), given_or_not([*NUMBERS, *ODD])),
            speed_mps=st.one_of(st.floats(0, 100), given_or_not([*NUMBERS, *ODD])),
            direction_deg=st.one_of(st.floats(0, 360), given_or_not([*NUMBERS, *ODD])),
            source=given_or_not([*SOURCES, *ODD]),
        ),
        # Mostly right, with one field of any kind.
        st.builds(lambda name, value: ping(**{name: value}), st.sampled_from(
            ["device_id", "fixed_at", "fixed_at_us", "lon", "lat", "accuracy_m", "speed_mps", "direction_deg", "source"]
        ), given_or_not([*SERIALS, *TIMES, *COUNTS, *NUMBERS, *SOURCES, *ODD])),
        st.just(ping()),
        st.sampled_from([None, 3, "A1", [], True]),
    ),
    max_size=8,
)  # fmt: skip


@given(ROWS)
def test_an_array_is_what_its_rows_are(rows: list[Any]) -> None:
    expected = [check_ping(row, *BOUNDS) for row in rows]
    assert outcome(read(json.dumps(rows).encode()), len(rows)) == expected


@given(ROWS)
def test_lines_are_what_their_rows_are(rows: list[Any]) -> None:
    content = "\n".join(json.dumps(row) for row in rows)
    expected = [check_ping(row, *BOUNDS) for row in rows]
    assert outcome(read(content.encode(), NDJSON), len(rows)) == expected


@given(ROWS.filter(lambda rows: any(isinstance(row, dict) and row for row in rows)))
def test_columns_are_what_their_rows_are(rows: list[Any]) -> None:
    objects = [row if isinstance(row, dict) else {} for row in rows]
    columns = {name: [row.get(name) for row in objects] for name in set().union(*objects)}
    expected = [check_ping(row, *BOUNDS) for row in objects]
    assert outcome(read(json.dumps(columns).encode()), len(rows)) == expected


ARROW_TYPES: dict[str, tuple[list[pa.DataType], st.SearchStrategy[Any]]] = {
    "device_id": (
        [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())],
        st.sampled_from([s for s in SERIALS if isinstance(s, str)]),
    ),
    "fixed_at": ([pa.string(), pa.large_string()], st.sampled_from(TIMES)),
    "fixed_at_us": ([pa.int64()], st.sampled_from([c for c in COUNTS if type(c) is int and -(2**63) <= c < 2**63])),
    "lon": ([pa.float64()], st.floats(-181, 181)),
    "lat": ([pa.float64()], st.floats(-91, 91) | st.just(math.nan)),
    "accuracy_m": ([pa.float64()], st.floats(-1, 3e7) | st.just(math.nan)),
    "speed_mps": ([pa.float64(), pa.int8()], st.integers(-2, 100)),
    "direction_deg": ([pa.float64(), pa.uint64()], st.integers(0, 361)),
    "source": (
        [pa.string(), pa.dictionary(pa.int32(), pa.string())],
        st.sampled_from([s for s in SOURCES if isinstance(s, str)]),
    ),
}


@st.composite
def arrow_tables(draw: st.DrawFn) -> pa.Table:
    count = draw(st.integers(0, 6))
    names = draw(st.lists(st.sampled_from(list(ARROW_TYPES)), unique=True, min_size=1))
    columns = {}
    for name in names:
        types, values = ARROW_TYPES[name]
        cells = draw(st.lists(st.none() | values, min_size=count, max_size=count))
        columns[name] = pa.array(cells, draw(st.sampled_from([*types, *([pa.null()] if set(cells) <= {None} else [])])))
    return pa.table(columns)


@given(arrow_tables())
def test_an_arrow_stream_is_what_its_rows_are(table: pa.Table) -> None:
    expected = [check_ping(row, *BOUNDS) for row in table.to_pylist()]
    assert outcome(read(arrow(table), ARROW), table.num_rows) == expected


@pytest.mark.parametrize(
    ("unit", "tick", "at_us"),
    [("s", 1_709_285_400, NOW_US), ("ms", 1_709_285_400_500, NOW_US + 500_000), ("us", NOW_US + 1, NOW_US + 1),
     ("ns", NOW_US * 1_000 + 1_999, NOW_US + 1), ("s", -1, None), ("s", 2**62, None), ("ns", 2**63 - 1, None)],
)  # fmt: skip
def test_an_arrow_timestamp_of_any_unit_is_a_time(unit: str, tick: int, at_us: int | None) -> None:
    columns = {"fixed_at": pa.array([tick], pa.timestamp(unit, "Europe/London")), "device_id": ["A1"], "lon": [1.0],
               "lat": [2.0]}  # fmt: skip
    delivery = read(arrow(pa.table(columns)), ARROW)
    assert delivery.pings["fixed_at_us"].tolist() == ([] if at_us is None else [at_us])


@pytest.mark.parametrize(
    ("kind", "code"),
    [(pa.timestamp("us"), "time_without_zone"), (pa.date32(), "wrong_type"), (pa.int64(), "wrong_type")],
)
def test_an_arrow_column_that_is_no_instant_is_refused_row_by_row(kind: pa.DataType, code: str) -> None:
    columns = {"fixed_at": pa.array([1, None], pa.int32()).cast(pa.int32() if kind == pa.date32() else pa.int64())}
    table = pa.table({"fixed_at": columns["fixed_at"].cast(kind), "device_id": ["A1", "A1"], "lon": [1.0, 1.0],
                      "lat": [2.0, 2.0]})  # fmt: skip
    delivery = read(arrow(table), ARROW)
    assert [(p.line, p.pointer, p.code) for p in delivery.problems] == [
        (1, "/fixed_at", code),
        (2, "/fixed_at", "missing_field"),
    ]


def test_a_broken_line_is_a_problem_of_its_own() -> None:
    content = b'{"device_id":\n\n' + json.dumps(ping()).encode() + b"\r\n\xff\n{} {}\n"
    delivery = read(content, NDJSON)
    codes = [(p.line, p.code) for p in delivery.problems]
    assert codes == [(1, "not_json"), (2, "not_json"), (4, "not_json"), (5, "not_json")]
    assert delivery.rows.tolist() == [2]
    assert [reject.raw for reject in delivery.rejects][:2] == ['"{\\"device_id\\":"', '""']


def test_a_number_that_no_double_holds_refuses_its_row_only() -> None:
    content = json.dumps([ping(), ping(lon=0.5)]).replace("0.5", "1e999").encode()
    delivery = read(content)
    assert [(p.line, p.pointer, p.code) for p in delivery.problems] == [(2, "/lon", "out_of_range")]


def test_other_fields_are_counted() -> None:
    rows = [ping(occupied=True), ping(occupied=None, battery=3), ping()]
    assert read(json.dumps(rows).encode()).ignored == {"occupied": 2, "battery": 1}


def test_a_time_given_twice_may_agree() -> None:
    delivery = read(json.dumps([ping(fixed_at_us=NOW_US)]).encode())
    assert delivery.pings["fixed_at_us"].tolist() == [NOW_US]


def test_a_reject_is_kept_as_it_came_and_bounded() -> None:
    rows = [
        ping(lat=91, note="x"),
        ping(lat=91, note="x" * 5_000),
        ping(lat=91, device_id="\x00" * 5_000),
        ping(lat=91, note="a\x00b\\u0000"),
        ping(lat=91, fixed_at_us=2**70),
    ]
    raw = [reject.raw for reject in read(json.dumps(rows).encode()).rejects]
    assert json.loads(raw[0]) == rows[0]
    assert json.loads(raw[1]) == ping(lat=91)
    assert max(map(len, raw)) <= 4_000
    assert json.loads(raw[3])["note"] == "a\ufffdb\\u0000"
    assert json.loads(raw[4]) == rows[4]


def test_an_arrow_reject_is_kept_as_json() -> None:
    at_ns = NOW_US * 1_000 + 123_456_789
    columns = {
        "device_id": ["A1"],
        "fixed_at": pa.array([at_ns], pa.timestamp("ns", "UTC")),
        "lon": [math.nan],
        "lat": [2.0],
    }
    reject = read(arrow(pa.table(columns)), ARROW).rejects[0]
    assert json.loads(reject.raw) == {
        "device_id": "A1",
        "fixed_at": "2024-03-01T09:30:00.123456789Z",
        "lon": "nan",
        "lat": 2.0,
    }


def test_an_arrow_stream_cannot_grow_when_it_is_read() -> None:
    rows = 500
    table = pa.table({"device_id": pa.DictionaryArray.from_arrays([0] * rows, ["x" * 500_000]), "lon": [1.0] * rows})
    delivery = read(arrow(table), ARROW)
    assert len(delivery.serials[0]) == 300
    assert {problem.code for problem in delivery.problems if problem.pointer == "/device_id"} == {"out_of_range"}
    assert sum(len(reject.raw) for reject in delivery.rejects) < 400 * rows
    for compression in ("zstd", "lz4"):
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        with pytest.raises(BadBody, match="compressed"):
            read(bytes(sink.getvalue()), ARROW)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_damaged_arrow_stream_is_a_bad_body_or_rows(seed: int, changes: int) -> None:
    whole = arrow(
        pa.table({"device_id": ["A1", "B2"], "fixed_at_us": [NOW_US] * 2, "lon": [1.0, 2.0], "lat": [2.0, 3]})
    )
    damaged = bytearray(whole)
    draw = np.random.default_rng(seed)
    for place in draw.integers(0, len(whole), changes).tolist():
        damaged[place] = int(draw.integers(0, 256))
    with contextlib.suppress(BadBody, TooLarge):
        read(bytes(damaged), ARROW)


def test_a_dictionary_with_a_null_word_has_no_word_there() -> None:
    words = pa.DictionaryArray.from_arrays([0, 1, None], ["A1", None])
    table = pa.table({"device_id": words, "fixed_at_us": [NOW_US] * 3, "lon": [1.0] * 3, "lat": [2.0] * 3})
    delivery = read(arrow(table), ARROW)
    assert [(p.line, p.code) for p in delivery.problems] == [(2, "missing_field"), (3, "missing_field")]
