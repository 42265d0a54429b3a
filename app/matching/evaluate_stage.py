"""The second stage of the matcher: pairs that are due are evaluated, and what was found is written.

The generation of a pair is read before its context, and compared again when the result is written: if anything fell
into the context in between, the generation has moved and the result is thrown away (docs/decisions/0003).
"""

import asyncio
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog

from app import metrics
from app.db import Connection, Pool
from app.matching.context import Pair, read_cases
from app.matching.lease import LEASE, renewed
from app.matching.matches import Outcome, write_outcomes
from app.matching.weighing import Weighed, weigh_cases
from app.wake import send_hint

PAIRS_A_CLAIM = 500

log = structlog.get_logger("trailmatch.evaluate")

# A pair that failed waits longer each time, up to an hour, so it does not hold up the others; it is never given up.
CLAIM = """
UPDATE due SET claim_token = $1, claimed_until = now() + $2, attempts = attempts + 1
WHERE (incident_id, wearer_id) IN (
    SELECT incident_id, wearer_id FROM due
    WHERE claimed_until IS NULL OR claimed_until < now()
    ORDER BY generation LIMIT $3
    FOR UPDATE SKIP LOCKED
)
RETURNING incident_id, wearer_id, generation, extract(epoch FROM now() - due_at)::float8 AS waited_s, attempts, causes
"""
RENEW = "UPDATE due SET claimed_until = now() + $2 WHERE claim_token = $1"


class Claimed(NamedTuple):
    """A due pair that is ours for the time of the lease."""

    pair: Pair
    generation: int
    waited_s: float
    attempts: int
    causes: tuple[str, ...]  # what made it due


async def evaluate_due(pool: Pool, run_id: UUID, limit: int = PAIRS_A_CLAIM) -> int:
    """Evaluate pairs that are due, the longest waiting first; return how many were taken up."""
    token = uuid4()
    rows = await pool.fetch(CLAIM, token, LEASE, limit)
    if not rows:
        return 0
    # In the order of their keys, as every statement below locks them.
    claimed = sorted(
        Claimed(
            Pair(r["incident_id"], r["wearer_id"]), r["generation"], r["waited_s"], r["attempts"], tuple(r["causes"])
        )
        for r in rows
    )
    async with renewed(pool, RENEW, token):
        outcomes, failed = await _weigh(pool, claimed)
        async with pool.acquire() as connection:
            async with connection.transaction():
                held = await _hold(connection, claimed)
                revised = await write_outcomes(connection, run_id, [o for o in outcomes if o.case.pair in held])
                await _finish(connection, [c for c in claimed if c.pair in held and c.pair not in failed])
            await _give_back(connection, token, [c for c in claimed if c.pair in failed], failed)
            if revised:
                await send_hint(connection, "outbox")
    _count(claimed, held, failed)
    return len(claimed)


async def _weigh(pool: Pool, claimed: list[Claimed]) -> tuple[list[Outcome], dict[Pair, str]]:
    """Give what is found for the pairs, and of those for which that failed, why."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        cases = await read_cases(connection, [c.pair for c in claimed])
        weighed = await weigh_cases(connection, [case for case in cases if not case.is_withdrawn])
    causes = {c.pair: c.causes for c in claimed}
    found = await asyncio.to_thread(_outcomes, [w for w in weighed if w.error is None], causes)
    withdrawn = [Outcome.of_withdrawn(case, causes[case.pair]) for case in cases if case.is_withdrawn]
    return withdrawn + found, {w.case.pair: w.error for w in weighed if w.error is not None}


def _outcomes(weighed: list[Weighed], causes: dict[Pair, tuple[str, ...]]) -> list[Outcome]:
    return [Outcome.of_weighed(each, causes[each.case.pair]) for each in weighed]


# A row that somebody has locked is being touched in this moment: its pair is not ours any more.
HOLD = """
SELECT due.incident_id, due.wearer_id
FROM due JOIN unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS mine (incident_id, wearer_id, generation)
    USING (incident_id, wearer_id, generation)
ORDER BY due.incident_id, due.wearer_id
FOR UPDATE OF due SKIP LOCKED
"""


async def _hold(connection: Connection, claimed: list[Claimed]) -> set[Pair]:
    """Lock the pairs whose generation has not moved since it was read; the others are due again."""
    rows = await connection.fetch(
        HOLD,
        [c.pair.incident_id for c in claimed],
        [c.pair.wearer_id for c in claimed],
        [c.generation for c in claimed],
    )
    return {Pair(row["incident_id"], row["wearer_id"]) for row in rows}


FINISH = """
DELETE FROM due USING unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS mine (incident_id, wearer_id, generation)
WHERE due.incident_id = mine.incident_id AND due.wearer_id = mine.wearer_id AND due.generation = mine.generation
"""


async def _finish(connection: Connection, finished: list[Claimed]) -> None:
    await connection.execute(
        FINISH,
        [c.pair.incident_id for c in finished],
        [c.pair.wearer_id for c in finished],
        [c.generation for c in finished],
    )


GIVE_BACK_FAILED = """
UPDATE due SET claim_token = NULL, last_error = mine.last_error,
    claimed_until = now() + least(interval '1 hour', interval '1 second' * 2 ^ least(due.attempts, 12))
FROM unnest($2::uuid[], $3::uuid[], $4::text[]) AS mine (incident_id, wearer_id, last_error)
WHERE due.incident_id = mine.incident_id AND due.wearer_id = mine.wearer_id AND due.claim_token = $1
"""
GIVE_BACK_REST = """
UPDATE due SET claim_token = NULL, claimed_until = NULL
WHERE (incident_id, wearer_id) IN (
    SELECT incident_id, wearer_id FROM due WHERE claim_token = $1 FOR UPDATE SKIP LOCKED
)
"""


async def _give_back(connection: Connection, token: UUID, failed: list[Claimed], errors: dict[Pair, str]) -> None:
    for claimed in failed:
        log.error("a pair could not be evaluated", incident_id=str(claimed.pair.incident_id), attempts=claimed.attempts)
    await connection.execute(
        GIVE_BACK_FAILED,
        token,
        [c.pair.incident_id for c in failed],
        [c.pair.wearer_id for c in failed],
        [errors[c.pair] for c in failed],
    )
    await connection.execute(GIVE_BACK_REST, token)


def _count(claimed: list[Claimed], held: set[Pair], failed: dict[Pair, str]) -> None:
    for each in claimed:
        if each.pair in failed:
            outcome = "failed"
        elif each.pair in held:
            outcome = "written"
            metrics.MATCH_LAG.observe(each.waited_s)
        else:
            outcome = "overtaken"
        metrics.EVALUATIONS.labels(outcome).inc()
