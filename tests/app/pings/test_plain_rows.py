"""Rows of JSON are read alike whether nothing is out of the ordinary in the whole body, or something somewhere."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadBody, TooLarge
from app.pings.cells import Column, read_floats
from app.pings.checks import check
from app.pings.delivery import check_delivery
from app.pings.fixed_point import QUANTITIES
from app.pings.problems import Problems
from app.pings.wire import Sent, decode, from_any_json
from tests.app.pings.test_checks import BOUNDS, COUNTS, JSON, NUMBERS, TIMES

LIMIT = 3
WORDS = ["A1", "\u00c4\u20ac\U0001f600", '"\\/\b', "", "gps", "GPS", "\u0000", "\x7f", "x" * 201]
NUMERALS = ["-0", "-0.0", "1E5", "1e-400", "1e999", "0.1e1", "123456789012345678901", "9007199254740993", "NaN", "01"]
Rows = list[dict[str, Any]]
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "device_id": st.sampled_from(WORDS),
    "fixed_at": st.sampled_from(TIMES),
    "fixed_at_us": st.sampled_from([count for count in COUNTS if type(count) is int]),
    **{quantity.name: st.sampled_from(NUMBERS) | st.floats() | st.integers() for quantity in QUANTITIES},
    "source": st.sampled_from(WORDS),
}
ODD: st.SearchStrategy[Any] = st.sampled_from([None, None, None, True, "1", 1, 1.5, [], {}, 2**63])
NAMES = st.sampled_from([*PLAIN, *PLAIN, *PLAIN, "other", "Lon"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Mostly rows that nothing is wrong with; now and then another kind of cell or field, or a damaged byte."""
    names = draw(st.lists(st.sampled_from([*PLAIN]), unique=True, min_size=1))
    drawn: Rows = draw(st.lists(st.fixed_dictionaries({name: PLAIN[name] for name in names}), max_size=4))
    for row in drawn:
        if draw(st.integers(0, 5)) == 0:
            row[draw(NAMES)] = draw(ODD)
    text = json.dumps(drawn, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0:
        text = text.replace('"lon": 0', f'"lon": {draw(st.sampled_from(NUMERALS))}')
    body = bytearray(text.encode())
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(body) - 1))
        body[place : place + 1] = draw(
            st.sampled_from([b"", b'"', b"}", b"]", b"[", b",", b"\xff", b"1", b"e", b"null"])
        )
    return bytes(body)


@given(bodies())
def test_both_ways_read_the_same(body: bytes) -> None:
    one, other = (outcome(read, body) for read in (decode_json, from_any_json))
    assert one == other


@pytest.mark.parametrize("cell", ["1.5", "7", "true", True, 7, 1.5, 2**63, [], {}])
@pytest.mark.parametrize("name", PLAIN)
def test_a_cell_of_another_type_is_read_alike_and_nothing_is_made_a_number_that_is_none(
    name: str, cell: object
) -> None:
    row = {"device_id": "A1", "fixed_at": TIMES[0], "lon": 1.5, "lat": 2.5, name: cell}
    body = json.dumps([row]).encode()
    assert outcome(decode_json, body) == outcome(from_any_json, body)
    # An int may be read as the float that it equals, a text or a bool as nothing else.
    assert decode(body, JSON).columns[name] == [cell]


def test_a_body_that_is_broken_behind_a_number_too_large_is_no_json() -> None:
    for body in (b'[{"lon":1e999}', b'[{"lon":1e999}]]', b'[{"lon":1e999,"source":"\xff"}]'):
        with pytest.raises(BadBody):
            decode(body, JSON)


def decode_json(body: bytes, row_limit: int) -> Sent:
    return decode(body, JSON, row_limit)


def outcome(read: Any, body: bytes) -> Any:  # noqa: ANN401 - two readers, and what is equal
    """All that a body comes to, its numbers to the last bit."""
    try:
        sent: Sent = read(body, LIMIT)
    except (BadBody, TooLarge) as refused:
        return str(refused)
    numbers = {
        quantity.name: bits(sent.columns[quantity.name]) for quantity in QUANTITIES if has_any(sent, quantity.name)
    }
    raw = sent.raw(range(sent.problems.is_bad.size))
    found = check(sent.columns, BOUNDS, sent.problems)
    pings = [(found.serials[row[0]], *row[1:]) for row in found.pings.tolist()]
    # By their texts, because what a row holds may be NaN's equal.
    return numbers, json.dumps(raw), sent.ignored, pings, found.rows.tolist(), found.problems


def has_any(sent: Sent, name: str) -> bool:
    cells = sent.columns.get(name, [])
    return any(cell is not None for cell in cells)


def bits(cells: Any) -> tuple[list[bool], bytes]:  # noqa: ANN401 - a column
    numbers = read_floats(cells, "", Problems(len(cells)))
    return numbers.is_given.tolist(), np.where(numbers.is_given, numbers.values, 0.0).tobytes()


def test_a_body_of_plain_rows_holds_no_more_columns_than_it_has() -> None:
    sent = decode(b'[{"lon":1.5,"source":null},{"lat":2,"fixed_at_us":7}]', JSON)
    assert sent.columns == {"fixed_at_us": [None, 7], "lon": [1.5, None], "lat": [None, 2.0]}


def test_rows_are_asked_for_as_they_were_sent_only_where_one_is_rejected() -> None:
    asked = list[list[int]]()

    def raw(wanted: Iterable[int]) -> list[Any]:
        asked.append(list(wanted))
        return [{} for _ in asked[-1]]

    good = {"device_id": "A1", "fixed_at": TIMES[0], "lon": 1.5, "lat": 2.5}
    for row in (good, good | {"lon": 200.0}):
        columns: dict[str, Column] = {name: [cell] for name, cell in row.items()}
        check_delivery(Sent(columns, Problems(1), Counter(), raw), BOUNDS, b"")
    assert asked == [[0]]
