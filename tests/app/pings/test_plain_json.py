"""Plain JSON read as columns: the same pings and the same complaints as by way of every cell, or nothing."""

import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.db import Connection
from app.errors import BadBody
from app.pings.checks import TimeBounds
from app.pings.delivery import Delivery, check_delivery
from app.pings.plain_json import LARGE_BYTES, read_plain
from app.pings.wire import Sent, decode
from tests.app.pings.conftest import ping, stored_pings

BOUNDS = TimeBounds(0, 1_800_000_000_000_000)
JSON = "application/json"
# What may stand for a value: acceptable, wrong, no JSON at all, and what lies on the edges of plain.
NUMBERS = ("0", "-0", "-0.0", "1", "51.2", "-2.587912", "0.1", "180", "1e1", "01", "1.", ".5", "-", "", "null", "true")
LONG = ("999999999999999", "9999999999999999", "0.99999999999999", "0.999999999999999", "1" * 19, "1" * 400, "1.0")
TIMES = ("1709285400000000", "1709285400000000.0", "-1", "0", "9223372036854775807", "9" * 18, "9" * 19)
TEXTS = (
    '"A1"',
    '""',
    '"gps"',
    '"A\\u0031"',
    '"Ä1"',
    '"a\\"b"',
    '"2024-03-01T09:30:00Z"',
    '"\x01"',
    '"' + "x" * 201 + '"',
)
VALUES = st.sampled_from((*NUMBERS, *LONG, *TIMES, *TEXTS, "{}", "[1]"))
PLAIN = {
    "device_id": st.sampled_from(('"A1"', '"B 2"', '"~"')),
    "fixed_at": st.sampled_from(('"2024-03-01T09:30:00Z"', '"2024-03-01T09:30:00.25+01:00"', '"yesterday"')),
    "fixed_at_us": st.sampled_from(("1709285400000000", "-1", "0")),
    "lon": st.sampled_from(("-2.5879", "0", "-0.0", "179.99999999999", "-181", "0.00000004999999")),
    "lat": st.sampled_from(("51.4545", "7", "0.30000000000001", "91")),
    "accuracy_m": st.sampled_from(("0", "12.345", "-1")),
    "source": st.sampled_from(('"gps"', '"LBS"', '"radar"')),
}
BLANKS = st.sampled_from(("", " ", "\n\t\r "))


@st.composite
def bodies(draw: st.DrawFn, *, may_be_odd: bool) -> bytes:
    rows = []
    for _ in range(draw(st.integers(0, 4))):
        names = draw(st.lists(st.sampled_from(sorted(PLAIN)), min_size=1, unique=not may_be_odd))
        cells = [f"{draw(BLANKS)}{json.dumps(name)}{draw(BLANKS)}:{draw(PLAIN[name])}{draw(BLANKS)}" for name in names]
        rows.append("{" + ",".join(cells) + "}")
    body = f"{draw(BLANKS)}[{draw(BLANKS)}" + f"{draw(BLANKS)},".join(rows) + f"{draw(BLANKS)}]{draw(BLANKS)}"
    if may_be_odd and rows:
        values = [value for field in PLAIN.values() for value in field.elements if value in body]  # type: ignore[attr-defined]
        body = body.replace(draw(st.sampled_from(values)), draw(VALUES), 1)
        body = draw(
            st.sampled_from((body, body[:-1], body + "]", body.replace(",", "", 1), body.replace("lon", "log", 1)))
        )
    return body.encode()


def told(sent: Sent) -> tuple[object, ...]:
    taken: Delivery = check_delivery(sent, BOUNDS, b"")
    named = [(taken.serials[row["device_id"]], *row.tolist()[1:]) for row in taken.pings]
    return named, taken.problems, taken.rejects, taken.ignored, taken.rows.tolist()


@settings(deadline=None)
@given(bodies(may_be_odd=True))
def test_what_is_read_as_columns_is_what_is_read_cell_by_cell(body: bytes) -> None:
    columns = read_plain(body)
    if not columns:
        return
    try:
        expected = told(decode(body, JSON))
    except BadBody:
        pytest.fail("this is no JSON")
    padded = body + b" " * LARGE_BYTES
    assert told(decode(padded, JSON)) == expected


@settings(deadline=None)
@given(bodies(may_be_odd=False))
def test_plain_rows_are_read_as_columns_whatever_is_missing_and_however_they_are_spaced(body: bytes) -> None:
    assert read_plain(body) is not None
    assert told(decode(body + b" " * LARGE_BYTES, JSON)) == told(decode(body, JSON))


@settings(deadline=None)
@given(st.integers(0, 10**18), st.integers(0, 18))
def test_a_number_is_the_double_that_its_digits_stand_for_or_is_not_plain(digits: int, decimals: int) -> None:
    written = f"{digits:0{decimals + 1}}"
    text = f"-{written[: len(written) - decimals]}.{written[len(written) - decimals :] or 0}"
    columns = read_plain(f'[{{"lon":{text}}}]'.encode())
    assert columns is None or columns["lon"].to_pylist() == [float(text)]


async def test_a_large_body_is_stored_and_its_bad_rows_are_kept_as_they_were_sent(
    service: httpx.AsyncClient, key: dict[str, str], connection: Connection
) -> None:
    rows = [ping(device_id=f"T{number}", speed_mps=number / 8) for number in range(1_000)]
    rows[417]["lat"] = 512.25
    body = json.dumps(rows).encode()
    assert len(body) > LARGE_BYTES
    assert read_plain(body) is not None
    said = (await service.post("/v1/pings", content=body, headers=key)).json()
    assert (said["accepted"], said["rejected"], said["errors"][0]["line"]) == (999, 1, 418)
    assert await connection.fetchval("SELECT raw FROM ping_reject") == rows[417]
    assert [row[6] for row in await stored_pings(connection) if row[0] == "T100"] == [1250]
