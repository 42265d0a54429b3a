"""What a person's decision makes of an alert, and what it may not do. Pure, no database.

A second check is the same conclusion drawn by another person on the same evidence. What the matcher does meanwhile
is in `app.alerts.life`.
"""

from typing import NamedTuple
from uuid import UUID

from app.errors import Conflict


class UnderReview(NamedTuple):
    """An alert before somebody decides."""

    state: str
    asks_second_check: bool
    decision_id: UUID | None  # the last one
    decided_by: str | None
    decided_by_account_id: int | None
    decided_by_api_key_id: int | None


class Conclusion(NamedTuple):
    """What somebody decides."""

    decision: str
    confirms: UUID | None
    decided_by: str
    account_id: int | None
    api_key_id: int | None


def state_after(alert: UnderReview, conclusion: Conclusion) -> str:
    """Give the state that a decision leaves the alert in. Raises Conflict if it cannot be made."""
    if alert.state == "withdrawn":
        raise Conflict("This alert is withdrawn: nothing is left to decide unless the matcher reopens it.")
    if conclusion.confirms is not None:
        _refuse_false_confirmation(alert, conclusion, conclusion.confirms)
        return "decided"
    if conclusion.decision == "need_more":
        return "in_review"
    if conclusion.decision != "pass_to_police":
        return "decided"
    if alert.state == "awaiting_second_check":
        raise Conflict(
            f"This alert awaits a second check: to agree, send 'confirms' with the decision's id {alert.decision_id}."
        )
    return "awaiting_second_check" if alert.asks_second_check else "decided"


def _refuse_false_confirmation(alert: UnderReview, conclusion: Conclusion, confirms: UUID) -> None:
    if alert.state != "awaiting_second_check" or alert.decision_id != confirms:
        raise Conflict("This is not the decision that awaits a second check.")
    if conclusion.decision != "pass_to_police":
        raise Conflict(
            "A second check that comes to another conclusion is a decision of its own: leave out 'confirms'."
        )
    if alert.decided_by_account_id is not None and conclusion.account_id is not None:
        is_same_person = alert.decided_by_account_id == conclusion.account_id
    else:
        _refuse_same_key(alert, conclusion)
        # A key names the person for whom it acts; how the name is spaced and capitalised makes nobody else of them.
        is_same_person = _folded(alert.decided_by or "") == _folded(conclusion.decided_by)
    if is_same_person:
        raise Conflict("The second check has to be made by another person.")


def _refuse_same_key(alert: UnderReview, conclusion: Conclusion) -> None:
    if alert.decided_by_api_key_id is not None and alert.decided_by_api_key_id == conclusion.api_key_id:
        raise Conflict(
            "The second check has to be made by another person, and a key cannot show that it acts for another one: "
            "sign in, or use another key than the one that made the decision."
        )


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()
