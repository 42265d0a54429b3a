"""The second stage of the matcher: pairs that are due are evaluated, and what was found is written.

Who has claimed a pair writes what was found, and nobody else. The generation of a pair is read before its context, and
compared again when the result is written: if anything fell into the context in between, the generation has moved, and
the pair stays due. What was found is written all the same if only positions or events have come; of a crime that was
amended, or a tag that turned out to be another person's, nothing is said but what is known now (docs/decisions/0003).
"""

import asyncio
from enum import Enum
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog

from app import metrics
from app.db import Connection, Pool
from app.matching.context import Case, Pair, read_cases
from app.matching.due import LOCK
from app.matching.lease import LEASE, renewed
from app.matching.matches import Outcome, write_outcomes
from app.matching.weighing import Weighed, weigh_cases
from app.wake import send_hint

PAIRS_A_CLAIM = 500

log = structlog.get_logger("trailmatch.evaluate")

# A pair that failed waits longer each time, up to an hour, so it does not hold up the others; it is never given up.
# The longest waiting first, whatever has touched it since: a pair that is touched again and again has its turn.
CLAIM = """
UPDATE due SET claim_token = $1, claimed_until = now() + $2, attempts = attempts + 1
WHERE (incident_id, wearer_id) IN (
    SELECT incident_id, wearer_id FROM due
    WHERE (claimed_until IS NULL OR claimed_until < now()) AND is_again = ANY($4::boolean[])
    ORDER BY is_again, due_at LIMIT $3
    FOR UPDATE SKIP LOCKED
)
RETURNING incident_id, wearer_id, generation, extract(epoch FROM now() - due_at)::float8 AS waited_s, attempts, causes
"""
# A row that is being touched in this moment is left out: one renewal of four may fail.
RENEW = """
UPDATE due SET claimed_until = now() + $2
WHERE (incident_id, wearer_id) IN (
    SELECT incident_id, wearer_id FROM due WHERE claim_token = $1 FOR UPDATE SKIP LOCKED
)
"""


class Turn(Enum):
    """Which pairs are taken up."""

    ANY = (False, True)
    FIRST = (False,)  # those never weighed before, or touched by more than pings
    AGAIN = (True,)  # those weighed before, for which only pings have come since


class Claimed(NamedTuple):
    """A due pair that is ours for the time of the lease."""

    pair: Pair
    generation: int
    waited_s: float
    attempts: int
    causes: tuple[str, ...]  # what made it due, each as often as it came


async def evaluate_due(pool: Pool, run_id: UUID, limit: int = PAIRS_A_CLAIM, turn: Turn = Turn.ANY) -> int:
    """Evaluate pairs that are due, the longest waiting first; return how many were taken up."""
    token = uuid4()
    rows = await pool.fetch(CLAIM, token, LEASE, limit, turn.value)
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
                held = await _hold(connection, token)
                sound = {o.case.pair: o for o in outcomes if o.case.pair in held}
                written = [c for c in claimed if c.pair in sound and not held[c.pair].corrects(c, sound[c.pair].case)]
                revised = await write_outcomes(connection, run_id, [sound[each.pair] for each in written])
                await _finish(connection, [each for each in written if held[each.pair].generation == each.generation])
                overtaken = [each for each in written if held[each.pair].generation != each.generation]
                await _keep_due(connection, overtaken)
            if len(written) < len(claimed):
                await _give_back(connection, token, [each for each in claimed if each.pair in failed], failed)
            if revised:
                await send_hint(connection, "outbox")
            if overtaken or len(written) < len(claimed):
                await send_hint(connection, "due")
    _count(claimed, written, overtaken, failed)
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


# A row that somebody has locked is being touched in this moment; it is given back as soon as that is done.
HOLD = """
SELECT incident_id, wearer_id, generation, causes, latest_version FROM due JOIN incident USING (incident_id)
WHERE claim_token = $1 ORDER BY incident_id, wearer_id FOR UPDATE OF due SKIP LOCKED
"""


class Held(NamedTuple):
    """A pair that is still ours, as it stands now."""

    generation: int  # if it has moved, the pair is due again
    causes: tuple[str, ...]
    version: int  # of the incident, the latest

    def corrects(self, claimed: Claimed, case: Case) -> bool:
        """Say whether what was found is of another crime or wearer than is known by now."""
        return self.version != case.version or "fittings" in self.causes[len(claimed.causes) :]


async def _hold(connection: Connection, token: UUID) -> dict[Pair, Held]:
    """Lock the pairs that are still ours."""
    rows = await connection.fetch(HOLD, token)
    return {
        Pair(row["incident_id"], row["wearer_id"]): Held(row["generation"], tuple(row["causes"]), row["latest_version"])
        for row in rows
    }


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


# What was found is written, but is of before. Of its causes those that came after the claim are left.
KEEP_DUE = """
UPDATE due SET claim_token = NULL, claimed_until = NULL, attempts = 0, due_at = now(),
    causes = due.causes[mine.said + 1:], is_again = 'pings' = ALL(due.causes[mine.said + 1:])
FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS mine (incident_id, wearer_id, said)
WHERE due.incident_id = mine.incident_id AND due.wearer_id = mine.wearer_id
"""


async def _keep_due(connection: Connection, overtaken: list[Claimed]) -> None:
    if overtaken:
        await connection.execute(
            KEEP_DUE,
            [c.pair.incident_id for c in overtaken],
            [c.pair.wearer_id for c in overtaken],
            [len(c.causes) for c in overtaken],
        )


# One that was touched since it failed is tried again at once.
GIVE_BACK_FAILED = """
UPDATE due SET claim_token = NULL, last_error = mine.last_error,
    claimed_until = CASE WHEN due.generation = mine.generation
        THEN now() + least(interval '1 hour', interval '1 second' * 2 ^ least(due.attempts, 12)) END
FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[]) AS mine (incident_id, wearer_id, generation, last_error)
WHERE due.incident_id = mine.incident_id AND due.wearer_id = mine.wearer_id AND due.claim_token = $1
"""
GIVE_BACK_REST = "UPDATE due SET claim_token = NULL, claimed_until = NULL WHERE claim_token = $1"


async def _give_back(connection: Connection, token: UUID, failed: list[Claimed], errors: dict[Pair, str]) -> None:
    for claimed in failed:
        log.error("a pair could not be evaluated", incident_id=str(claimed.pair.incident_id), attempts=claimed.attempts)
    async with connection.transaction():
        # Whoever was touching one of them is done with it then.
        await connection.execute(LOCK)
        await connection.execute(
            GIVE_BACK_FAILED,
            token,
            [c.pair.incident_id for c in failed],
            [c.pair.wearer_id for c in failed],
            [c.generation for c in failed],
            [errors[c.pair] for c in failed],
        )
        await connection.execute(GIVE_BACK_REST, token)


def _count(claimed: list[Claimed], written: list[Claimed], overtaken: list[Claimed], failed: dict[Pair, str]) -> None:
    # Overtaken: what was found is written, and the pair is evaluated once more. Left: somebody else has it, or a crime
    # or a fitting was corrected meanwhile.
    numbers = {
        "written": len(written) - len(overtaken),
        "overtaken": len(overtaken),
        "failed": len(failed),
        "left": len(claimed) - len(written) - len(failed),
    }
    for outcome, number in numbers.items():
        metrics.EVALUATIONS.labels(outcome).inc(number)
    for each in written:
        metrics.MATCH_LAG.observe(each.waited_s)
