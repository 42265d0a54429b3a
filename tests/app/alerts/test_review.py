"""What a person's decision makes of an alert."""

from uuid import UUID

import pytest

from app.alerts.review import Conclusion, UnderReview, state_after
from app.errors import Conflict

FIRST, OTHER = UUID(int=1), UUID(int=2)
NEW = UnderReview("new", False, None, None, None, None)
AWAITING = UnderReview("awaiting_second_check", True, FIRST, "PC Moore", None, decided_by_api_key_id=1)


def conclude(
    decision: str, by: str = "DS Hall", confirms: UUID | None = None, account: int | None = None, key: int = 2
) -> Conclusion:
    return Conclusion(decision, confirms, by, account, key)


@pytest.mark.parametrize("state", ["new", "in_review", "decided"])
@pytest.mark.parametrize(
    ("decision", "after", "checked"),
    [
        ("pass_to_police", "decided", "awaiting_second_check"),
        ("explained", "decided", "decided"),
        ("data_too_poor", "decided", "decided"),
        ("need_more", "in_review", "in_review"),
    ],
)
def test_a_decision_ends_the_review_unless_more_is_needed_or_a_check_asked_for(
    state: str, decision: str, after: str, checked: str
) -> None:
    alert = NEW._replace(state=state)
    assert state_after(alert, conclude(decision)) == after
    assert state_after(alert._replace(asks_second_check=True), conclude(decision)) == checked


def test_another_person_confirms() -> None:
    assert state_after(AWAITING, conclude("pass_to_police", confirms=FIRST)) == "decided"


@pytest.mark.parametrize("name", ["PC Moore", "pc moore", " PC  Moore "])
def test_the_same_person_does_not_confirm_however_they_write_their_name(name: str) -> None:
    with pytest.raises(Conflict, match="another person"):
        state_after(AWAITING, conclude("pass_to_police", by=name, confirms=FIRST))


def test_a_key_does_not_confirm_its_own_decision_under_another_name() -> None:
    with pytest.raises(Conflict, match="another key"):
        state_after(AWAITING, conclude("pass_to_police", by="DS Hall", confirms=FIRST, key=1))
    # Nor does somebody who is signed in confirm what the same key decided for nobody in particular.
    with pytest.raises(Conflict, match="another key"):
        state_after(AWAITING, conclude("pass_to_police", by="DS Hall", confirms=FIRST, account=7, key=1))


def test_accounts_tell_people_apart_better_than_names() -> None:
    alert = AWAITING._replace(decided_by_account_id=7)
    assert state_after(alert, conclude("pass_to_police", by="PC Moore", confirms=FIRST, account=8)) == "decided"
    with pytest.raises(Conflict, match="another person"):
        state_after(alert, conclude("pass_to_police", by="DS Hall", confirms=FIRST, account=7))


def test_only_the_decision_that_waits_is_confirmed() -> None:
    with pytest.raises(Conflict, match="not the decision"):
        state_after(AWAITING, conclude("pass_to_police", confirms=OTHER))
    with pytest.raises(Conflict, match="not the decision"):
        state_after(AWAITING._replace(state="in_review"), conclude("pass_to_police", confirms=FIRST))
    with pytest.raises(Conflict, match="another conclusion"):
        state_after(AWAITING, conclude("explained", confirms=FIRST))


def test_passing_again_in_place_of_confirming_is_refused_even_when_nobody_asks_any_more() -> None:
    with pytest.raises(Conflict, match="confirms"):
        state_after(AWAITING._replace(asks_second_check=False), conclude("pass_to_police"))


def test_a_second_look_may_come_to_another_conclusion() -> None:
    assert state_after(AWAITING, conclude("explained")) == "decided"
    assert state_after(AWAITING, conclude("need_more")) == "in_review"


def test_nothing_is_decided_on_a_withdrawn_alert() -> None:
    with pytest.raises(Conflict, match="withdrawn"):
        state_after(NEW._replace(state="withdrawn"), conclude("explained"))
