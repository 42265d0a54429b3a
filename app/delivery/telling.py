"""Who is told of what happens to an alert, when, and when it is escalated. Pure, no database.

The rule, whole:

* An alert that is raised, reopened or withdrawn, or revised to another verdict, is told to the wearer's offender
  managers and the hub of the incident's force. Other revisions are on the stream and at endpoints only.
* Who is to look after an alert is told so. Of one that awaits a second check, and of one that is escalated, the hubs
  of every organisation that it concerns are told too.
* An alert that was raised or reopened is escalated when nobody has looked within the time that the incident's force
  set.
* Urgent is what is escalated, and an alert raised or reopened within two hours of the end of an incident whose offence
  the force calls urgent.
* A notice waits for the person's next digest, if they want digests, and then for the end of their quiet hours; an
  urgent one waits for neither, unless the person said so.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
FRESH = timedelta(hours=2)

ToldAs = Literal["assignee", "offender_manager", "hub"]


class Rule(NamedTuple):
    """What a force asks for."""

    escalate_after: timedelta | None = timedelta(hours=1)  # None: never
    urgent_offences: frozenset[str] = frozenset({"RB", "AB"})


class Event(NamedTuple):
    """Something that happened to an alert."""

    kind: str  # raised, revised, withdrawn, reopened, taken_up, assigned, decided, outcome, escalated
    at: datetime
    state: str | None  # of the alert, after it
    changed: Sequence[str]  # parts of the evidence, by a revision
    offence: str
    incident_ended_at: datetime


class Preference(NamedTuple):
    """When a person wants to be told; times of day are Europe/London."""

    by_email: bool = True
    quiet_from: time | None = None
    quiet_to: time | None = None
    digest_at: tuple[time, ...] = ()  # empty: each notice by itself
    urgent_at_once: bool = True


class Person(NamedTuple):
    """Somebody whom an alert concerns."""

    account_id: int
    told_as: ToldAs
    is_of_force: bool  # of the incident's force
    preference: Preference


class Told(NamedTuple):
    """A notice to one person."""

    account_id: int
    told_as: ToldAs
    is_urgent: bool
    due_at: datetime | None  # None: not by e-mail


def tell(event: Event, rule: Rule, people: Iterable[Person], now: datetime) -> list[Told]:
    """Say who is told of an event, each once, and when."""
    urgent = is_urgent(event, rule)
    told: dict[int, Told] = {}
    for person in sorted(people, key=lambda p: (_RANK[p.told_as], p.account_id)):
        if person.account_id not in told and _is_told(event, person):
            due_at = when(now, person.preference, is_urgent=urgent)
            told[person.account_id] = Told(person.account_id, person.told_as, urgent, due_at)
    return list(told.values())


_RANK = {"assignee": 0, "offender_manager": 1, "hub": 2}


def _is_told(event: Event, person: Person) -> bool:
    if event.kind == "assigned":
        return person.told_as == "assignee"
    if event.kind == "escalated" or (event.kind == "decided" and event.state == "awaiting_second_check"):
        return person.told_as != "assignee"
    is_notable = event.kind in {"raised", "reopened", "withdrawn"} or (
        event.kind == "revised" and "verdict" in event.changed
    )
    return is_notable and (person.told_as == "offender_manager" or (person.told_as == "hub" and person.is_of_force))


def is_urgent(event: Event, rule: Rule) -> bool:
    """Say whether an event waits for nobody's quiet hours."""
    if event.kind == "escalated":
        return True
    is_fresh = event.at - event.incident_ended_at <= FRESH
    return event.kind in {"raised", "reopened"} and is_fresh and event.offence in rule.urgent_offences


def escalates_at(event: Event, rule: Rule) -> datetime | None:
    """Say by when somebody has to have looked; None if nobody has to."""
    if event.kind not in {"raised", "reopened"} or rule.escalate_after is None:
        return None
    return event.at + rule.escalate_after


def when(now: datetime, preference: Preference, *, is_urgent: bool) -> datetime | None:
    """Say when a person is told of something that happens now; None if they want no e-mail."""
    if not preference.by_email:
        return None
    if is_urgent and preference.urgent_at_once:
        return now
    at = _next(now, preference.digest_at) if preference.digest_at else now
    return _next(at, [preference.quiet_to]) if preference.quiet_to and _is_quiet(at, preference) else at


def _is_quiet(at: datetime, preference: Preference) -> bool:
    begin, end = preference.quiet_from, preference.quiet_to
    assert begin is not None
    assert end is not None
    clock = at.astimezone(LONDON).time()
    return begin <= clock < end if begin < end else clock >= begin or clock < end


def _next(at: datetime, times: Iterable[time]) -> datetime:
    """Give the first instant, from `at` on, at which a clock in London shows one of these times.

    A time that a clock put forward leaves out is taken as if it had not been; one put back shows it twice.
    """
    today = at.astimezone(LONDON).date()
    return min(
        instant
        for clock in times
        for day in (-1, 0, 1, 2)
        for fold in (0, 1)
        if (instant := _instant(today + timedelta(days=day), clock.replace(fold=fold))) is not None and instant >= at
    )


def _instant(day: date, clock: time) -> datetime | None:
    """Give when a clock in London shows a time; with `fold`, when it does so once more, None if it does not."""
    instant = datetime.combine(day, clock, LONDON).astimezone(UTC)
    return instant if not clock.fold or instant.astimezone(LONDON).time() == clock else None
