"""Bodies that are stored together: whose fixes can be, and whose cannot."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.pings.clashes import merge
from app.pings.payload import KEY, PING, Pings
from app.pings.table import KeyIsKnown

NOON_US = 1_709_294_400_000_000
KEYS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(0, 1)), max_size=6)


def fixes(keys: list[tuple[int, int, int]]) -> Pings:
    pings = np.zeros(len(keys), PING)
    for row, (device, moment, source) in enumerate(keys):
        pings[row] = (device, NOON_US + moment, source, row, row, -1, -1, -1)
    return pings


@given(st.lists(KEYS, min_size=1, max_size=4))
def test_who_repeats_itself_or_an_earlier_one_is_left_out_and_the_rest_stands_in_order(
    bodies: list[list[tuple[int, int, int]]],
) -> None:
    merged, apart = merge([fixes(keys) for keys in bodies])
    seen = set[tuple[int, int, int]]()
    expected_apart = set[int]()
    for number, keys in enumerate(bodies):
        if len(set(keys)) < len(keys) or seen & set(keys):
            expected_apart.add(number)
        seen |= set(keys)
    assert apart == expected_apart
    kept = sorted((key, number) for number, keys in enumerate(bodies) if number not in apart for key in keys)
    stand = zip(merged.pings[list(KEY)].tolist(), merged.body.tolist(), strict=True)
    assert [((device, at_us - NOON_US, source), body) for (device, at_us, source), body in stand] == kept


def test_the_key_that_is_known_is_found_by_what_the_database_says() -> None:
    pings = fixes([(1, 0, 1), (2, 0, 1), (2, 7, 0), (2, 7, 1)])
    said = "Key (device_id, fixed_at, source)=(2, 2024-03-01 12:00:00.000007+00, 1) already exists."
    assert KeyIsKnown(said).place_in(pings) == 3
    said_elsewhere = "Schlüssel »(device_id, fixed_at, source)=(2, 2024-03-01 12:00:00+00, 1)« existiert bereits."
    assert KeyIsKnown(said_elsewhere).place_in(pings) == 1


def test_a_key_that_is_said_in_another_way_or_is_none_of_these_is_not_found() -> None:
    pings = fixes([(1, 0, 1)])
    for said in (None, "", "=(1, 01/03/2024 12:00:00 UTC, 1)", "=(9, 2024-03-01 12:00:00+00, 1)"):
        assert KeyIsKnown(said).place_in(pings) is None
