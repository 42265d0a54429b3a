"""Records of integers with a last field of any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matcher.records import read_records

WIDTHS = (2, 4, 8, 1)
BEFORE = b"\x00\x07"

record = st.tuples(
    *(st.integers(-(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1) for width in WIDTHS), st.binary(max_size=9)
)


def to_bytes(records: list[tuple[int, int, int, int, bytes]]) -> bytes:
    sent = BEFORE
    for *integers, last in records:
        sent += (len(WIDTHS) + 1).to_bytes(2, "big")
        for integer, width in zip(integers, WIDTHS, strict=True):
            sent += width.to_bytes(4, "big") + integer.to_bytes(width, "big", signed=True)
        sent += len(last).to_bytes(4, "big") + last
    return sent


@settings(deadline=None)
@given(st.lists(record, max_size=5))
def test_records_are_read_as_they_were_sent(sent: list[tuple[int, int, int, int, bytes]]) -> None:
    received = np.frombuffer(to_bytes(sent), np.uint8)
    records = read_records(received, len(BEFORE), received.size, WIDTHS)
    lasts = [received[a:b].tobytes() for a, b in zip(records.starts, records.ends, strict=True)]
    assert list(zip(*records.integers.tolist(), lasts, strict=True)) == sent


@settings(deadline=None)
@given(st.lists(record, min_size=1, max_size=3), st.data())
def test_records_that_were_cut_are_refused(sent: list[tuple[int, int, int, int, bytes]], data: st.DataObject) -> None:
    whole = to_bytes(sent)
    cut = data.draw(st.integers(len(to_bytes(sent[:-1])) + 1, len(whole) - 1))
    with pytest.raises(ValueError, match=f"these {cut - 2} bytes are not records of 4 integers"):
        read_records(np.frombuffer(whole, np.uint8), len(BEFORE), cut, WIDTHS)


@pytest.mark.parametrize("at", [1, 5, 11, 33])
def test_another_number_of_fields_another_width_or_no_value_is_refused(at: int) -> None:
    sent = bytearray(to_bytes([(1, 2, 3, 4, b"five")]))
    sent[len(BEFORE) + at] ^= 0xFF
    with pytest.raises(ValueError, match="are not records"):
        read_records(np.frombuffer(bytes(sent), np.uint8), len(BEFORE), len(sent), WIDTHS)
