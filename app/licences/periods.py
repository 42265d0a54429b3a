"""Stretches of time in which somebody was on licence, and in which that has changed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

import asyncpg

from app.activations.effective import FOREVER


class Period(NamedTuple):
    """A stretch of time [from_at, to_at); to_at is FOREVER where no end is known."""

    from_at: datetime
    to_at: datetime


ALWAYS: Final = Period(datetime.min.replace(tzinfo=UTC), FOREVER)


def periods_of(ranges: Sequence[asyncpg.Range[datetime]] | None) -> list[Period]:
    """Give what `range_agg` gives of a wearer's licences: apart and in order, none where no licence is known."""
    return [Period(each.lower or ALWAYS.from_at, each.upper or ALWAYS.to_at) for each in ranges or ()]


def find_changes(before: Sequence[Period], after: Sequence[Period]) -> list[Period]:
    """Give every longest stretch in which somebody is on licence by one of both and not by the other, in order.

    Both apart and in order. Where one knows of no licence and the other of one, that is all of time: what lies outside
    of every licence that is known is outside the licence, and what lies outside of none is unknown.
    """
    if bool(before) != bool(after):
        return [ALWAYS]
    changes: list[Period] = []
    for from_at, to_at in pairwise(sorted({instant for each in (*before, *after) for instant in each})):
        if _holds(before, from_at) == _holds(after, from_at):
            continue
        if changes and changes[-1].to_at == from_at:
            changes[-1] = changes[-1]._replace(to_at=to_at)
        else:
            changes.append(Period(from_at, to_at))
    return changes


def _holds(periods: Sequence[Period], instant: datetime) -> bool:
    return any(each.from_at <= instant < each.to_at for each in periods)
