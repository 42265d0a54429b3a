"""How long is waited after an attempt that failed."""

from datetime import UTC, datetime, timedelta

import pytest

from app.delivery.backoff import SCHEDULE, Failed, after_failure, pause

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


def test_pauses_grow_to_an_hour_and_stay_there_for_ever() -> None:
    pauses = [pause(failures, 0.5) for failures in range(1, 10)]
    assert pauses == [*SCHEDULE, SCHEDULE[-1], SCHEDULE[-1], SCHEDULE[-1]]
    assert pause(100_000, 0.5) == timedelta(hours=1)


@pytest.mark.parametrize("failures", [1, 3, 50])
def test_pauses_are_spread_so_that_not_all_come_back_at_once(failures: int) -> None:
    assert pause(failures, 0.0) == pause(failures, 0.5) * 0.8
    assert pause(failures, 0.9999) > pause(failures, 0.5) * 1.19


def test_what_never_reached_the_receiver_stays_first_in_the_queue() -> None:
    following = after_failure(NOW, Failed(was_sent=False), failures=3, attempts=3, draw=0.5)
    assert following == (NOW + timedelta(minutes=2), NOW)


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_says_not_now_is_believed_and_given_the_time_it_asks_for(status: int) -> None:
    failed = Failed(was_sent=True, status=status, retry_after_s=600)
    assert after_failure(NOW, failed, failures=1, attempts=1, draw=0.5) == (NOW + timedelta(minutes=10), NOW)
    for_ever = failed._replace(retry_after_s=10**8)
    assert after_failure(NOW, for_ever, failures=1, attempts=1, draw=0.5)[0] == NOW + timedelta(hours=1)


def test_what_the_receiver_may_have_seen_waits_by_itself_and_lets_others_by() -> None:
    following = after_failure(NOW, Failed(was_sent=True, status=500), failures=1, attempts=4, draw=0.5)
    assert following == (NOW + timedelta(seconds=5), NOW + timedelta(minutes=20))


@pytest.mark.parametrize("failures", [1, 2, 5, 50])
@pytest.mark.parametrize("attempts", [1, 2, 5, 50])
def test_after_a_rest_it_is_the_turn_of_another(failures: int, attempts: int) -> None:
    following = after_failure(NOW, Failed(was_sent=True, status=500), failures, attempts, draw=0.5)
    assert following.delivery_at - NOW >= 2 * (following.receiver_at - NOW)
