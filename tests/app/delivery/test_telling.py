"""Who is told of what, when, and when it is escalated: the rule over a clock that the test sets."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.telling import LONDON, Event, Person, Preference, Rule, Told, escalates_at, is_urgent, tell, when

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
MANAGER = Person(1, "offender_manager", is_of_force=False, preference=Preference())
HUB = Person(2, "hub", is_of_force=True, preference=Preference())
OTHER_HUB = Person(3, "hub", is_of_force=False, preference=Preference())
ASSIGNEE = Person(4, "assignee", is_of_force=False, preference=Preference())
EVERYBODY = [OTHER_HUB, HUB, ASSIGNEE, MANAGER]


def event(kind: str, state: str | None = None, changed: tuple[str, ...] = (), offence: str = "BIAD") -> Event:
    return Event(kind, NOON, state, changed, offence, NOON - timedelta(hours=1))


def told(what: Event, people: list[Person] = EVERYBODY) -> list[int]:
    return [each.account_id for each in tell(what, Rule(), people, NOON)]


@pytest.mark.parametrize(
    ("what", "accounts"),
    [
        (event("raised"), [1, 2]),
        (event("reopened"), [1, 2]),
        (event("withdrawn"), [1, 2]),
        (event("revised", changed=("n_pings",)), []),
        (event("revised", changed=("n_pings", "verdict")), [1, 2]),
        (event("taken_up"), []),
        (event("assigned"), [4]),
        (event("decided", "decided"), []),
        (event("decided", "awaiting_second_check"), [1, 2, 3]),
        (event("outcome"), []),
        (event("escalated"), [1, 2, 3]),
    ],
)
def test_each_event_is_told_to_whom_the_rule_says(what: Event, accounts: list[int]) -> None:
    assert told(what) == accounts


def test_who_is_concerned_twice_is_told_once_and_as_the_nearer() -> None:
    both = [HUB, Person(2, "offender_manager", is_of_force=True, preference=Preference())]
    assert tell(event("raised"), Rule(), both, NOON) == [Told(2, "offender_manager", is_urgent=False, due_at=NOON)]


def test_urgent_is_a_fresh_robbery_and_whatever_is_escalated() -> None:
    rule = Rule()
    robbery = event("raised", offence="RB")
    assert is_urgent(robbery, rule)
    assert is_urgent(robbery._replace(at=NOON + timedelta(hours=1)), rule)
    assert not is_urgent(robbery._replace(at=NOON + timedelta(hours=1, seconds=1)), rule)
    assert not is_urgent(robbery._replace(kind="withdrawn"), rule)
    assert not is_urgent(event("raised"), rule)
    assert is_urgent(event("raised"), Rule(urgent_offences=frozenset({"BIAD"})))
    assert is_urgent(event("escalated"), rule)


def test_what_was_raised_or_reopened_is_escalated_after_the_time_that_the_force_set() -> None:
    assert escalates_at(event("raised"), Rule()) == NOON + timedelta(hours=1)
    assert escalates_at(event("reopened"), Rule(escalate_after=timedelta(minutes=5))) == NOON + timedelta(minutes=5)
    assert escalates_at(event("raised"), Rule(escalate_after=None)) is None
    assert escalates_at(event("revised", changed=("verdict",)), Rule()) is None


NIGHTS = Preference(quiet_from=time(19), quiet_to=time(7, 30))
DIGESTS = Preference(digest_at=(time(8), time(13)))


def at(text: str) -> datetime:
    """An instant by London's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON).astimezone(UTC)


@pytest.mark.parametrize(
    ("preference", "now", "due"),
    [
        (Preference(), "2026-07-01 23:00", "2026-07-01 23:00"),
        (NIGHTS, "2026-07-01 18:59", "2026-07-01 18:59"),
        (NIGHTS, "2026-07-01 19:00", "2026-07-02 07:30"),
        (NIGHTS, "2026-07-02 07:29", "2026-07-02 07:30"),
        (NIGHTS, "2026-07-02 07:30", "2026-07-02 07:30"),
        (Preference(quiet_from=time(12), quiet_to=time(14)), "2026-01-05 13:00", "2026-01-05 14:00"),
        (DIGESTS, "2026-07-01 07:00", "2026-07-01 08:00"),
        (DIGESTS, "2026-07-01 08:00", "2026-07-01 08:00"),
        (DIGESTS, "2026-07-01 08:01", "2026-07-01 13:00"),
        (DIGESTS, "2026-07-01 13:01", "2026-07-02 08:00"),
        (NIGHTS._replace(digest_at=(time(6),)), "2026-07-01 12:00", "2026-07-02 07:30"),
    ],
)
def test_a_notice_waits_for_the_digest_and_then_for_the_end_of_quiet_hours(
    preference: Preference, now: str, due: str
) -> None:
    assert when(at(now), preference, is_urgent=False) == at(due)


def test_quiet_hours_keep_to_the_clock_over_its_changes() -> None:
    # The clock goes from 01:00 to 02:00, so 01:30 is half an hour after 01:00 all the same.
    spring = Preference(quiet_from=time(23), quiet_to=time(1, 30))
    assert when(datetime(2026, 3, 29, 0, 30, tzinfo=UTC), spring, is_urgent=False) == datetime(
        2026, 3, 29, 1, 30, tzinfo=UTC
    )
    # And from 02:00 back to 01:00: quiet hours that were over at 01:30 are so again in the second hour.
    autumn = Preference(quiet_from=time(23), quiet_to=time(1, 30))
    for now, due in (("00:10", "00:30"), ("00:40", "00:40"), ("01:10", "01:30")):
        hour, minute = map(int, now.split(":"))
        due_hour, due_minute = map(int, due.split(":"))
        assert when(datetime(2026, 10, 25, hour, minute, tzinfo=UTC), autumn, is_urgent=False) == datetime(
            2026, 10, 25, due_hour, due_minute, tzinfo=UTC
        )


def test_what_is_urgent_waits_for_neither_unless_the_person_said_so() -> None:
    night = at("2026-07-01 23:00")
    patient = NIGHTS._replace(digest_at=(time(8),))
    assert when(night, patient, is_urgent=True) == night
    assert when(night, patient._replace(urgent_at_once=False), is_urgent=True) == at("2026-07-02 08:00")
    assert when(night, patient._replace(by_email=False), is_urgent=True) is None


CLOCKS = st.times(timezones=st.none()).map(lambda clock: clock.replace(second=0, microsecond=0))


@given(
    minutes=st.integers(0, 366 * 24 * 60),
    quiet=st.tuples(CLOCKS, CLOCKS).filter(lambda both: both[0] != both[1]),
    digests=st.lists(CLOCKS, max_size=3),
)
def test_nobody_is_told_in_their_quiet_hours_nor_later_than_two_days(
    minutes: int, quiet: tuple[time, time], digests: list[time]
) -> None:
    begin, end = quiet
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    due = when(moment, Preference(True, begin, end, tuple(digests)), is_urgent=False)
    assert due is not None
    assert moment <= due <= moment + timedelta(days=2, hours=1)
    clock = due.astimezone(LONDON).time()
    # A time that the clock leaves out ends quiet hours an hour later by the clock.
    if due.astimezone(LONDON).date().isoformat() not in {"2026-03-29", "2026-10-25"}:
        assert not (begin <= clock < end if begin < end else clock >= begin or clock < end)
