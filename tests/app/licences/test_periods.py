"""Where two states of somebody's licences differ, against asking every instant."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.activations.effective import FOREVER
from app.licences.periods import ALWAYS, Period, find_changes
from tests.app.licences.examples import noon

INSTANTS = [noon(1) + timedelta(hours=hour) for hour in range(8)]


def apart(cuts: list[datetime]) -> list[Period]:
    """Periods between every other of rising instants, the last without end if there is an odd number of them."""
    instants = [*cuts, FOREVER][: len(cuts) + len(cuts) % 2]
    return [Period(*instants[i : i + 2]) for i in range(0, len(instants), 2)]


periods = st.sets(st.sampled_from(INSTANTS), min_size=1).map(sorted).map(apart)


def holds(of: list[Period], instant: datetime) -> bool:
    return any(each.from_at <= instant < each.to_at for each in of)


@given(periods, periods)
def test_what_has_changed_is_every_instant_at_which_both_differ_in_as_few_stretches_as_can_be(
    before: list[Period], after: list[Period]
) -> None:
    changes = find_changes(before, after)
    # Nothing changes between two of these hours, so their beginnings stand for all of time.
    for instant in INSTANTS:
        assert holds(changes, instant) == (holds(before, instant) != holds(after, instant))
    assert all(one.to_at < other.from_at for one, other in pairwise(changes))


@given(periods)
def test_a_first_licence_and_the_end_of_the_last_change_all_of_time(some: list[Period]) -> None:
    assert find_changes([], some) == find_changes(some, []) == [ALWAYS]
    assert find_changes([], []) == []
