"""The life of an alert: what becomes of it when the evidence of its match is weighed anew. Pure, no database."""

from typing import NamedTuple

Json = dict[str, object]


class Standing(NamedTuple):
    """An alert as it stands."""

    state: str
    revision: int
    incident_version: int
    evidence: Json | None  # of its last revision; None: nothing places the wearer there


class Finding(NamedTuple):
    """What the matcher has found now."""

    incident_version: int
    evidence: Json | None
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
    changed = _changed(standing.evidence, finding.evidence)
    number = standing.revision + 1
    why = _why(standing, finding, changed)
    if standing.state == "withdrawn":
        return Revision(number, "reopened", "in_review", why, changed) if finding.is_alerted else None
    if not finding.is_alerted:
        return Revision(number, "withdrawn", "withdrawn", why, changed)
    state = "in_review" if standing.state == "awaiting_second_check" else standing.state
    return Revision(number, "revised", state, why, changed) if changed else None


def _changed(before: Json | None, after: Json | None) -> list[str]:
    was, now = before or {}, after or {}
    return sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))


def _why(standing: Standing, finding: Finding, changed: list[str]) -> str:
    if finding.incident_version != standing.incident_version:
        cause = f"The incident was amended (version {standing.incident_version} to {finding.incident_version})"
    else:
        cause = "Positions or fittings came or were corrected"
    was, now = standing.evidence or {}, finding.evidence or {}
    moves = [
        f"{words} {_said(was.get(name))} to {_said(now.get(name))}" for name, words in _WORDS.items() if name in changed
    ]
    return f"{cause}: {', '.join(moves)}." if moves else f"{cause}."


# The parts of the evidence that a person would name, in this order.
_WORDS = {
    "verdict": "verdict from",
    "n_pings": "positions inside from",
    "min_dist_m": "nearest position (m) from",
    "inside_s": "seconds inside from",
}


def _said(value: object) -> str:
    return "none" if value is None else str(value)
