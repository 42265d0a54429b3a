"""What the evidence says of pairs: their contexts read piece by piece in one snapshot, and weighed in threads."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from app.db import Connection
from app.matching.context import Case, history_pieces_of, pieces_of, read_contexts, read_histories
from app.matching.positions import Span
from matcher.context import Context, needs_to_us
from matcher.evidence import NOT_NEEDED, Evidence
from matcher.weigh import weigh


class Weighed(NamedTuple):
    """A case and its evidence; or, where it could not be weighed, why."""

    case: Case
    evidence: Evidence | None
    pings: Span  # in which a ping that comes, or becomes another one, can change the evidence
    error: str | None


async def weigh_cases(connection: Connection, cases: Sequence[Case]) -> list[Weighed]:
    """Weigh cases, in any order, in the snapshot that the connection is in.

    The days before are read only of those whose evidence asks for them. A snapshot lasts as long as its transaction, so
    the connection stays ours while threads compute: some milliseconds for each piece.
    """
    weighed = list[Weighed]()
    for piece in pieces_of(cases):
        contexts = dict(zip((case.pair for case in piece), await read_contexts(connection, piece), strict=True))
        first = await asyncio.to_thread(weigh_all, piece, list(contexts.values()))
        weighed += [each for each in first if not _needs_history(each)]
        for some in history_pieces_of([each.case for each in first if _needs_history(each)]):
            histories = await read_histories(connection, some)
            whole = [
                contexts[case.pair]._replace(history=history) for case, history in zip(some, histories, strict=True)
            ]
            weighed += await asyncio.to_thread(weigh_all, some, whole)
    return weighed


def _needs_history(weighed: Weighed) -> bool:
    return weighed.evidence is not None and weighed.evidence.needs_history


def weigh_all(cases: Sequence[Case], contexts: Sequence[Context]) -> list[Weighed]:
    """Weigh each case; what fails is said of that case only."""
    return [_weigh(*one) for one in zip(cases, contexts, strict=True)]


def _weigh(case: Case, context: Context) -> Weighed:
    profile = case.profile.profile
    try:
        evidence = weigh(context, case.incident, profile)
        to_us = needs_to_us(context, case.incident, profile)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other pairs go on and this one is tried again
        return Weighed(case, None, Span(0, 0), f"{type(error).__name__}: {error}")
    from_us = case.bounds.from_us if evidence.history == NOT_NEEDED else case.bounds.history_from_us
    return Weighed(case, evidence, Span(from_us, to_us), None)
