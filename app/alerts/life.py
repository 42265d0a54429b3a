"""The life of an alert: what becomes of it when the evidence of its match is weighed anew. Pure, no database."""

from typing import NamedTuple

from app.alerts.why import Json, Weighing, why


class Standing(NamedTuple):
    """An alert as it stands."""

    state: str
    revision: int
    weighing: Weighing  # of its last revision


class Finding(NamedTuple):
    """What the matcher has found now."""

    weighing: Weighing
    said: Json | None  # its evidence in words
    causes: tuple[str, ...]  # what made it look again, as `app.matching.due.Cause` names it
    is_alerted: bool


class Revision(NamedTuple):
    """The next revision of an alert."""

    revision: int
    kind: str  # raised, revised, withdrawn or reopened
    state: str  # of the alert, after it
    why: str  # a sentence for people
    changed: list[str]  # parts of the evidence that differ from the revision before


def next_revision(standing: Standing | None, finding: Finding) -> Revision | None:
    """Say how an alert changes; None if it does not. The same finding twice changes nothing the second time.

    What people decided stays as it is, bound to its revision; but nobody confirms a decision on evidence that it
    was not made on, so an alert that awaits a second check goes back into review.
    """
    if standing is None:
        return Revision(1, "raised", "new", "First match.", []) if finding.is_alerted else None
    changed = _changed(standing.weighing, finding.weighing)
    number = standing.revision + 1
    reason = why(standing.weighing, finding.weighing, finding.causes, changed)
    if standing.state == "withdrawn":
        return Revision(number, "reopened", "in_review", reason, changed) if finding.is_alerted else None
    if not finding.is_alerted:
        return Revision(number, "withdrawn", "withdrawn", reason, changed)
    state = "in_review" if standing.state == "awaiting_second_check" else standing.state
    return Revision(number, "revised", state, reason, changed) if changed else None


def _changed(before: Weighing, after: Weighing) -> list[str]:
    """Name the parts of the evidence that differ, and the profile: by another, equal numbers mean something else."""
    was, now = before.evidence or {}, after.evidence or {}
    parts = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
    return sorted(parts | ({"profile"} if before.profile != after.profile else set()))
