"""What the evidence says of pairs: their contexts read piece by piece in one snapshot, and weighed in threads."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from app.db import Connection
from app.matching.context import Case, history_pieces_of, pieces_of, read_contexts, read_histories
from app.matching.positions import Span
from matcher.context import Context, needs_to_us
from matcher.evidence import Evidence
from matcher.weigh import judge, with_history


class Weighed(NamedTuple):
    """A case and what it comes to; or, where it could not be weighed, why."""

    case: Case
    evidence: Evidence | None  # None where it is no match
    pings: Span | None  # in which a ping that comes, or becomes another one, can change that; None: no candidate
    error: str | None


async def weigh_cases(connection: Connection, cases: Sequence[Case]) -> list[Weighed]:
    """Weigh cases, in any order, in the snapshot that the connection is in.

    The days before are read only of those whose evidence asks for them. A snapshot lasts as long as its transaction, so
    the connection stays ours while threads compute: some milliseconds for each piece.
    """
    weighed = list[Weighed]()
    for piece in pieces_of(cases):
        contexts = dict(zip((case.pair for case in piece), await read_contexts(connection, piece), strict=True))
        first = await asyncio.to_thread(judge_all, piece, list(contexts.values()))
        weighed += [each for each in first if not _needs_history(each)]
        waiting = {each.case.pair: each for each in first if _needs_history(each)}
        for some in history_pieces_of([each.case for each in waiting.values()]):
            histories = await read_histories(connection, some)
            whole = [
                contexts[case.pair]._replace(history=history) for case, history in zip(some, histories, strict=True)
            ]
            weighed += await asyncio.to_thread(_go_on_all, [waiting[case.pair] for case in some], whole)
    return weighed


def _needs_history(weighed: Weighed) -> bool:
    return weighed.evidence is not None and weighed.evidence.needs_history


def judge_all(cases: Sequence[Case], contexts: Sequence[Context]) -> list[Weighed]:
    """Weigh each case; what fails is said of that case only."""
    return [_judge(*one) for one in zip(cases, contexts, strict=True)]


def _judge(case: Case, context: Context) -> Weighed:
    profile = case.profile.profile
    try:
        evidence, is_candidate = judge(context, case.incident, profile)
        pings = Span(case.bounds.from_us, needs_to_us(context, case.incident, profile)) if is_candidate else None
    except Exception as error:  # noqa: BLE001 - whatever it is, the other pairs go on and this one is tried again
        return _failed(case, error)
    return Weighed(case, evidence, pings, None)


def _go_on_all(first: Sequence[Weighed], contexts: Sequence[Context]) -> list[Weighed]:
    """Weigh each case against its days before, in the same way."""
    return [_go_on(*one) for one in zip(first, contexts, strict=True)]


def _go_on(first: Weighed, context: Context) -> Weighed:
    assert first.evidence is not None
    assert first.pings is not None
    case = first.case
    try:
        evidence = with_history(first.evidence, context, case.incident, case.profile.profile)
    except Exception as error:  # noqa: BLE001 - as above
        return _failed(case, error)
    return Weighed(case, evidence, Span(case.bounds.history_from_us, first.pings.to_us), None)


def _failed(case: Case, error: Exception) -> Weighed:
    return Weighed(case, None, None, f"{type(error).__name__}: {error}")
