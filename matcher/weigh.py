"""What one wearer's trail is worth for one incident: the one call, by whatever rule the profile has."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from matcher.by_overlap import weigh_by_overlap
from matcher.by_presence import match_by_presence, ordinary_of, weigh_by_presence
from matcher.by_radius import weigh_by_radius
from matcher.context import Context, Incident
from matcher.evidence import NOT_NEEDED, TOO_LITTLE, Evidence, Ordinary
from matcher.profile import OVERLAP, PRESENCE, RADIUS, Profile
from matcher.verdict import PRESENT

_RULES: Final = {RADIUS: weigh_by_radius, OVERLAP: weigh_by_overlap, PRESENCE: weigh_by_presence}


class Judged(NamedTuple):
    """What becomes of a wearer and an incident."""

    evidence: Evidence | None  # None where it is no match
    is_candidate: bool  # the join finds the pair, match or none


def judge(context: Context, incident: Incident, profile: Profile) -> Judged:
    """Weigh what is known of one wearer and one incident, but only as far as needed where it is no match.

    A pure function of its arguments, and of what lies within `context_bounds` alone. Where the evidence
    `needs_history` and the context has none, read what `history_stretches` names and go on with `with_history`.

    Raises ValueError if the profile has no circle for the offence, or something in the context is out of range.
    """
    if profile.rule == PRESENCE:
        return Judged(*match_by_presence(context, incident, profile))
    evidence = weigh(context, incident, profile)
    return Judged(evidence if is_match(evidence, profile) else None, evidence.is_candidate)


def evaluate(context: Context, incident: Incident, profile: Profile) -> Evidence | None:
    """Give the evidence of `judge` alone."""
    return judge(context, incident, profile).evidence


def with_history(evidence: Evidence, context: Context, incident: Incident, profile: Profile) -> Evidence:
    """Give what `weigh` gives for this context, of evidence that `needs_history` of the same context without it.

    Cost: that of `chance_of`.
    """
    history, chance = chance_of(context, incident, profile)
    return replace(evidence, history=history, chance=chance)


def weigh(context: Context, incident: Incident, profile: Profile) -> Evidence:
    """As `evaluate`, but give the verdict on any wearer, those who were elsewhere too."""
    return _RULES[profile.rule](context, incident, profile)


def chance_of(context: Context, incident: Incident, profile: Profile) -> tuple[str, Ordinary | None]:
    """Weigh presence against the wearer's ordinary life whatever the verdict, and say what became of the history.

    For whoever asks after a pair that is not PRESENT: `weigh` reads no history of those. Where it is PRESENT the answer
    is that of `weigh`. NOT_NEEDED by a rule that asks for no history, NOT_READ where the context has none. Cost: that
    of the days before, up to some milliseconds.
    """
    return ordinary_of(context, incident, profile) if profile.rule == PRESENCE else (NOT_NEEDED, None)


def evaluate_many(cases: Iterable[tuple[Context, Incident]], profile: Profile) -> Iterator[Evidence | None]:
    """Evaluate one case after another, in their order."""
    return (evaluate(context, incident, profile) for context, incident in cases)


def is_match(evidence: Evidence, profile: Profile) -> bool:
    """Say whether there is a match: something in the circle, or a probability of ever having been there that counts.

    Only what the join finds (a position or a line within the candidate margin), so that whether a match exists never
    depends on why a pair was looked at.
    """
    ever = 0.0 if evidence.inside is None else evidence.inside.ever
    return evidence.is_candidate and (evidence.visits > 0 or ever >= profile.telling.least_ever)


def is_alerted(evidence: Evidence | None, profile: Profile) -> bool:
    """Say whether people are told.

    Where uncertainty is weighed: PRESENT, for as long as an offence takes, and more than this wearer's ordinary life
    explains; with too little history, where A alone is large enough. By the other rules: at least one position counts.

    Raises ValueError if the evidence needs its history first.
    """
    if evidence is None or evidence.verdict != PRESENT:
        return False
    if evidence.needs_history:
        raise ValueError("the evidence is not final: evaluate it with the history")
    if evidence.inside is None:
        return evidence.n_pings > 0
    if evidence.inside_s < profile.circle(evidence.offence).min_stay_s:
        return False
    if evidence.chance is None:
        return evidence.history != TOO_LITTLE or evidence.inside.at_crime >= profile.telling.alert_at_crime
    return evidence.chance.ratio >= profile.telling.alert_lr
