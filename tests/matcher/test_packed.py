"""Chunks: what is packed comes back, whatever it is; what is damaged is an error."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from matcher.packed import COLUMNS, SPARE_BYTES, Chunks, count_pings, pack_chunks, unpack_chunks
from tests.naive_packed import Form, naive_pack, naive_unpack

HOUR_US = 3_600_000_000
NOON_US = 1_773_489_600_000_000
INT32, INT64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)

Longs = npt.NDArray[np.int64]
Hour = list[tuple[int, ...]]

values_of_a_column = st.one_of(
    st.integers(*INT32),
    st.sampled_from([*INT32, -1, 0, 1, 2**31]),
    st.integers(0, 3).map(lambda step: step * 25),
    st.integers(-1_800_000_000, 1_800_000_000),
)
# A time within its hour: whole minutes, whole seconds, or any microsecond.
times = st.one_of(
    st.integers(0, 59).map(lambda m: m * 60_000_000), st.integers(0, 3_599).map(lambda s: s * 1_000_000)
) | st.integers(0, HOUR_US - 1)
batches = st.integers(1, 5) | st.integers(*INT64)
pings = st.tuples(times, st.integers(-(2**15), 2**15 - 1), *[values_of_a_column] * 5, batches)
hours = st.lists(pings, min_size=1, max_size=70).map(sorted)
forms = st.lists(st.sampled_from(["plain", "steps", "whole"]), min_size=8, max_size=8)


@settings(deadline=None, max_examples=300)
@given(st.lists(hours, min_size=1, max_size=4))
def test_what_is_packed_comes_back(stored: list[Hour]) -> None:
    values, first = _columns(stored)
    device_id, hour_us = _keys(len(stored))
    buffer, chunks = pack_chunks(device_id, hour_us, first, values)
    assert count_pings(buffer, chunks).tolist() == [len(hour) for hour in stored]
    np.testing.assert_array_equal(_unpacked(buffer, chunks, first), values)


@settings(deadline=None, max_examples=200)
@given(hours)
def test_what_is_packed_is_as_the_format_says(hour: Hour) -> None:
    values, first = _columns([hour])
    buffer, chunks = pack_chunks(*_keys(1), first, values)
    payload = buffer[: chunks.ends[0]].tobytes()
    assert naive_unpack(0, NOON_US, payload) == values.tolist()


@settings(deadline=None, max_examples=200)
@given(hours, forms, st.integers(0, 9))
def test_every_form_of_a_column_is_read_wherever_it_lies(hour: Hour, chosen: list[Form], before: int) -> None:
    values, first = _columns([hour])
    payload = naive_pack(-7, NOON_US, values.tolist(), chosen)
    buffer = np.frombuffer(bytes([255] * before) + payload + bytes([255] * SPARE_BYTES), np.uint8)
    chunks = Chunks(*(np.array([each], np.int64) for each in (-7, NOON_US, before, before + len(payload))))
    assert count_pings(buffer, chunks).tolist() == [len(hour)]
    np.testing.assert_array_equal(_unpacked(buffer, chunks, first), values)


@pytest.mark.parametrize("column", range(1, 8))
def test_the_ends_of_int64_survive_in_every_column(column: int) -> None:
    hour = [(NOON_US + i, *[0] * 7) for i in range(4)]
    values = np.array(hour, np.int64).T.copy()
    values[column] = [INT64[0], INT64[1], INT64[1], INT64[0]]
    first = np.array([0, 4], np.int64)
    buffer, chunks = pack_chunks(*_keys(1), first, values)
    np.testing.assert_array_equal(_unpacked(buffer, chunks, first), values)


def test_some_columns_are_read_in_the_order_asked_for() -> None:
    values, first = _columns([[(60_000_000 * i, 1, 5 * i, -i, 7, 8, 9, 10) for i in range(60)]] * 2)
    buffer, chunks = pack_chunks(*_keys(2), first, values)
    some = ("lat_e7", "fixed_at_us")
    np.testing.assert_array_equal(_unpacked(buffer, chunks, first, some), values[[3, 0]])


@settings(deadline=None, max_examples=300)
@given(st.lists(hours, min_size=3, max_size=3), st.data())
def test_a_changed_bit_is_an_error_that_names_the_chunk(stored: list[Hour], data: st.DataObject) -> None:
    values, first = _columns(stored)
    buffer, chunks = pack_chunks(*_keys(3), first, values)
    bit = data.draw(st.integers(8 * int(chunks.starts[1]) + 8, 8 * int(chunks.ends[1]) - 1))
    buffer[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match=r"the chunk of device 1, hour 2026-03-14 13:00 UTC is damaged"):
        count_pings(buffer, chunks)


@given(st.data())
def test_a_chunk_that_was_cut_or_belongs_elsewhere_is_an_error(data: st.DataObject) -> None:
    values, first = _columns([[(60_000_000 * i, 1, 5 * i, -i, 7, 8, 9, 10) for i in range(60)]])
    buffer, chunks = pack_chunks(*_keys(1), first, values)
    cut = chunks._replace(ends=chunks.ends - data.draw(st.integers(1, int(chunks.ends[0]) - 1)))
    for other in (
        cut,
        chunks._replace(device_id=chunks.device_id + 1),
        chunks._replace(hour_us=chunks.hour_us + HOUR_US),
    ):
        with pytest.raises(ValueError, match="is damaged"):
            count_pings(buffer, other)
    with pytest.raises(ValueError, match="damaged: 0 bytes"):
        count_pings(buffer, chunks._replace(ends=chunks.starts))


def test_a_chunk_of_a_later_version_is_said_to_be_one() -> None:
    values, first = _columns([[(0, 1, 2, 3, 4, 5, 6, 7)]])
    buffer, chunks = pack_chunks(*_keys(1), first, values)
    buffer[0] = 2
    with pytest.raises(ValueError, match="is of version 2; this program reads version 1"):
        count_pings(buffer, chunks)


def test_a_chunk_whose_columns_do_not_fill_it_is_an_error() -> None:
    values, _ = _columns([[(0, 1, 2, 3, 4, 5, 6, 7)]])
    for columns in (values.tolist()[:7], [*values.tolist(), [1]]):
        payload = naive_pack(0, NOON_US, columns, ["plain"] * len(columns))
        buffer = np.frombuffer(payload + bytes(SPARE_BYTES), np.uint8)
        chunks = Chunks(*_keys(1), np.zeros(1, np.int64), np.array([len(payload)]))
        assert count_pings(buffer, chunks).tolist() == [1]
        with pytest.raises(ValueError, match="is damaged"):
            _unpacked(buffer, chunks, np.array([0, 1]))


def test_no_chunks_are_no_pings() -> None:
    buffer, chunks = pack_chunks(*_keys(0), np.zeros(1, np.int64), np.empty((8, 0), np.int64))
    assert count_pings(buffer, chunks).size == 0


def test_an_hour_of_minute_fixes_takes_less_than_sixteen_bytes_a_ping() -> None:
    rng = np.random.default_rng(5)
    n = 60
    values = np.array(
        [
            NOON_US + np.arange(n) * 60_000_000,
            np.ones(n),
            -15_500_000 + np.cumsum(rng.integers(-90_000, 90_000, n)),
            538_000_000 + np.cumsum(rng.integers(-90_000, 90_000, n)),
            rng.integers(3, 60, n) * 50,
            rng.integers(0, 2_000, n),
            rng.integers(0, 36_000, n),
            np.arange(n) * 200 + rng.integers(0, 200, n),
        ],
        np.int64,
    )
    buffer, _ = pack_chunks(*_keys(1), np.array([0, n]), values)
    assert (buffer.size - SPARE_BYTES) / n < 14


def _columns(stored: list[Hour]) -> tuple[Longs, Longs]:
    """The values of all hours, and where each hour begins; hour i is i hours after noon."""
    rows = [(NOON_US + i * HOUR_US + ping[0], *ping[1:]) for i, hour in enumerate(stored) for ping in hour]
    starts = np.cumsum([0, *(len(hour) for hour in stored)])
    return np.array(rows, np.int64).reshape(-1, len(COLUMNS)).T.copy(), starts


def _keys(chunks: int) -> tuple[Longs, Longs]:
    return np.arange(chunks), NOON_US + np.arange(chunks) * HOUR_US


def _unpacked(buffer: npt.NDArray[np.uint8], chunks: Chunks, first: Longs, columns: tuple[str, ...] = COLUMNS) -> Longs:
    values = np.zeros((len(columns), first[-1]), np.int64)
    unpack_chunks(buffer, chunks, first[:-1], values, columns)
    return values


def test_real_trails_come_back(real_data: Path) -> None:
    table = parquet.read_table(real_data / "sf2008_pings.parquet", columns=["device_id", "ts", "lon", "lat"])
    device = table["device_id"].combine_chunks().cast("string").dictionary_encode().indices.to_numpy().astype(np.int64)
    time_us = table["ts"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    order = np.lexsort((time_us, device))
    device, time_us = device[order], time_us[order]
    values = np.full((8, device.size), -1, np.int64)
    values[0] = time_us
    for row, name in ((2, "lon"), (3, "lat")):
        values[row] = np.rint(table[name].to_numpy()[order] * 1e7)
    hour = time_us // HOUR_US
    is_first = np.append(True, (device[1:] != device[:-1]) | (hour[1:] != hour[:-1]))
    first = np.append(np.flatnonzero(is_first), device.size)
    buffer, chunks = pack_chunks(device[is_first], hour[is_first] * HOUR_US, first, values)
    np.testing.assert_array_equal(count_pings(buffer, chunks), np.diff(first))
    np.testing.assert_array_equal(_unpacked(buffer, chunks, first), values)
    assert buffer.size / device.size < 9
