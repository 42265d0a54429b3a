"""What goes into the text of a COPY, and what comes back."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from app.db import Connection
from app.times import to_datetime, to_us
from app.trails.transport import EPOCH_US, Answer, Argument, copy_out

ASKED = """
SELECT 0::smallint, n, $1::int, at, ''::bytea
FROM unnest($2::int[], $3::timestamptz[]) WITH ORDINALITY AS one (n, at, place)
WHERE at BETWEEN $4 AND $5 AND n >= $6
ORDER BY place
"""
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
# The ends of what times there are, and one that another zone calls another day.
MOMENTS = [
    to_datetime(-(2**62)),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 7, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))),
    to_datetime(2**62),
]


async def test_arguments_of_every_kind_reach_the_statement_as_they_are(connection: Connection) -> None:
    numbers = [-(2**31), -1, 0, 2**31 - 1]
    received = await copy_out(connection, ASKED, -7, numbers, MOMENTS, MOMENTS[0], MOMENTS[-1], numbers[0])
    _, n, own, at_us = Answer(received, (2, 4, 4, 8)).records.integers
    assert n.tolist() == numbers
    assert own.tolist() == [-7] * 4
    assert (at_us + EPOCH_US).tolist() == [to_us(moment) for moment in MOMENTS]


async def test_arrays_reach_the_statement_as_lists_do(connection: Connection) -> None:
    numbers = np.array([-5, 0, 7], np.int32)
    at_us = np.array([-1, to_us(MOMENTS[0]), to_us(MOMENTS[-1])])
    received = await copy_out(connection, ASKED, 1, numbers, at_us.view("M8[us]"), MOMENTS[0], MOMENTS[-1], -9)
    records = Answer(received, (2, 4, 4, 8)).records.integers
    assert records[1].tolist() == numbers.tolist()
    assert (records[3] + EPOCH_US).tolist() == at_us.tolist()


async def test_an_empty_list_is_one(connection: Connection) -> None:
    received = await copy_out(connection, ASKED, 1, [], [], MOMENTS[0], MOMENTS[-1], 0)
    assert Answer(received, (2, 4, 4, 8)).records.starts.size == 0


@pytest.mark.parametrize(
    "argument", ["1'; DROP TABLE ping; --", ["1}'::int[]) --"], NOON.replace(tzinfo=None), np.array(["1"])]
)
async def test_what_is_no_number_and_no_instant_never_becomes_a_part_of_a_statement(
    connection: Connection, argument: Argument
) -> None:
    with pytest.raises((ValueError, TypeError), match=r"invalid literal|has no time zone|Cannot cast"):
        await copy_out(connection, "SELECT $1::int", argument)
