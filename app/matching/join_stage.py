"""The first stage of the matcher: what has come in is joined, and the pairs that may be matches become due.

Three inboxes: batches of pings, versions of incidents, stretches of trail that changed their wearer. Each is claimed,
read in a snapshot begun after the claim, joined with no connection held, and written together with the claim's end;
of many incidents what was found first is written before, and once more by whoever takes over a claim that was lost.
Of a ping and an incident that meet, at least one side sees the other: a claim's snapshots are younger than its batch's
commit, an arrival's are younger than its version's (docs/decisions/0003). Trails are read in parts, each in a snapshot
of its own, so that any number of batches, incidents or years takes bounded memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID, uuid4

import numpy as np

from app.db import Connection, Pool
from app.matching.due import (
    Amended,
    Candidate,
    Touch,
    add_candidates,
    find_touched_by_pings,
    touch_incidents,
    touch_wearers,
)
from app.matching.lease import LEASE, LeaseLost, renewed
from app.matching.open_incidents import OpenIncidents, Selection
from app.matching.stretches import (
    Runs,
    anywhere,
    boxes_around,
    hours_near,
    parts_of,
    runs_of,
    stretches_about,
)
from app.pings.partitions import DAY_US
from app.pings.payload import unpack
from app.times import to_datetime, to_us
from app.trails.box import read_box
from app.trails.days import find_days
from app.trails.store import Stretches, read_stretches
from app.wake import send_hint
from matcher.join import Between, space_time_join
from matcher.trails import Longs, Trails

# A claim takes whole batches until they hold this many pings: about 50 MB of arrays with their neighbours.
PINGS_A_CLAIM = 200_000
# All incidents of a claim share the reading of their days, and take 100 bytes each. Of the trails there are never more
# than four hours of a nation at once, and of what is sealed only what lies near.
ARRIVALS_A_CLAIM = 20_000
# Those who evaluate begin with the first of a claim while the others are still looked for. 400 bytes each.
CANDIDATES_A_WRITE = 2_000
REJOINS_A_CLAIM = 200
_FEW_DAYS = 4


CLAIM_BATCHES = """
UPDATE ping_batch SET claim_token = $1, claimed_until = now() + $2
WHERE batch_id IN (
    SELECT batch_id FROM ping_batch
    WHERE matched_at IS NULL AND (claimed_until IS NULL OR claimed_until < now())
      AND batch_id IN (
        SELECT batch_id FROM (
            SELECT batch_id, sum(accepted) OVER (ORDER BY batch_id) - accepted AS pings_before
            FROM (
                SELECT batch_id, accepted FROM ping_batch
                WHERE matched_at IS NULL AND (claimed_until IS NULL OR claimed_until < now())
                ORDER BY batch_id LIMIT 500
            ) AS waiting
        ) AS counted
        WHERE pings_before < $3
      )
    ORDER BY batch_id
    FOR UPDATE SKIP LOCKED
)
RETURNING batch_id, payload
"""
RENEW_BATCHES = "UPDATE ping_batch SET claimed_until = now() + $2 WHERE claim_token = $1 AND matched_at IS NULL"
FINISH_BATCHES = """
UPDATE ping_batch SET matched_at = now(), payload = NULL, claim_token = NULL, claimed_until = NULL
WHERE claim_token = $1 AND matched_at IS NULL RETURNING batch_id
"""


async def join_batches(pool: Pool, incidents: OpenIncidents, pings: int = PINGS_A_CLAIM) -> int:
    """Join the oldest waiting batches, up to about so many pings; return how many batches that were.

    Raises LeaseLost if another worker took them meanwhile.
    """
    token = uuid4()
    claimed = await pool.fetch(CLAIM_BATCHES, token, LEASE, pings)
    if not claimed:
        return 0
    async with renewed(pool, RENEW_BATCHES, token):
        runs = await asyncio.to_thread(_runs_of, [row["payload"] for row in claimed])
        # Whoever is fitted with one of these tags from now on is touched by what says so.
        candidates, touched = await asyncio.gather(_find_along(pool, runs, incidents), _find_touched(pool, runs))
        async with pool.acquire() as connection, connection.transaction():
            await touch_wearers(connection, touched, "pings")
            await add_candidates(connection, candidates, "pings")
            await _finish(connection, FINISH_BATCHES, token, len(claimed))
    await _hint_due(pool)
    return len(claimed)


CLAIM_ARRIVALS = """
UPDATE arrival SET claim_token = $1, claimed_until = now() + $2
WHERE (incident_id, version) IN (
    SELECT incident_id, version FROM arrival WHERE claimed_until IS NULL OR claimed_until < now()
    ORDER BY arrived_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING incident_id
"""
RENEW_ARRIVALS = "UPDATE arrival SET claimed_until = now() + $2 WHERE claim_token = $1"
FINISH_ARRIVALS = "DELETE FROM arrival WHERE claim_token = $1 RETURNING incident_id"


async def join_arrivals(pool: Pool, incidents: OpenIncidents, limit: int = ARRIVALS_A_CLAIM) -> int:
    """Join new versions of incidents with the stored trails; return how many versions that were.

    Raises LeaseLost if another worker took them meanwhile.
    """
    token = uuid4()
    claimed = await pool.fetch(CLAIM_ARRIVALS, token, LEASE, limit)
    if not claimed:
        return 0
    incident_ids = sorted({row["incident_id"] for row in claimed})
    async with renewed(pool, RENEW_ARRIVALS, token):
        days = await _refresh(pool, incidents)
        selection = incidents.of(incident_ids)
        amended = _amended(incident_ids, selection)
        async for candidates, is_last in _find_arrived(pool, selection, incidents.between(), days):
            async with pool.acquire() as connection, connection.transaction():
                await touch_incidents(connection, amended)
                await add_candidates(connection, candidates, "incident")
                if is_last:
                    await _finish(connection, FINISH_ARRIVALS, token, len(claimed))
            amended = []
            await _hint_due(pool)
    return len(claimed)


async def _find_arrived(
    pool: Pool, selection: Selection, between: Between, days: Longs
) -> AsyncIterator[tuple[list[Candidate], bool]]:
    """Give the candidates of incidents some thousands at a time, and with the last, be there any or none, True.

    Those of one incident come together, so that none of its pairs is weighed twice.
    """
    found, ended = set[Candidate](), set[UUID]()
    for box, part in boxes_around(selection, between, days):
        near = partial(hours_near, box=box, incidents=part.incidents, between=between)
        async with _snapshot(pool) as connection:
            trails = await read_box(connection, box, near)
        found.update(await asyncio.to_thread(_find_candidates, trails, part, between))
        is_over = part.incidents.to_us <= box.to_us - round(between.max_gap_s * 1e6)
        ended.update(part.incident_id[row] for row in np.flatnonzero(is_over).tolist())
        if len(found) >= CANDIDATES_A_WRITE:
            complete = {candidate for candidate in found if candidate.incident_id in ended}
            found -= complete
            yield sorted(complete), False
    yield sorted(found), True


CLAIM_REJOINS = """
UPDATE rejoin SET claim_token = $1, claimed_until = now() + $2
WHERE rejoin_id IN (
    SELECT rejoin_id FROM rejoin WHERE claimed_until IS NULL OR claimed_until < now()
    ORDER BY rejoin_id LIMIT $3 FOR UPDATE SKIP LOCKED
)
RETURNING device_id, greatest(from_at, timestamptz '1970-01-01') AS from_at,
    least(to_at, timestamptz '9000-01-01') AS to_at
"""
RENEW_REJOINS = "UPDATE rejoin SET claimed_until = now() + $2 WHERE claim_token = $1"
FINISH_REJOINS = "DELETE FROM rejoin WHERE claim_token = $1 RETURNING rejoin_id"


async def join_rejoins(pool: Pool, incidents: OpenIncidents, limit: int = REJOINS_A_CLAIM) -> int:
    """Join stretches of trail that have another wearer than before; return how many that were.

    The wearers before and after were touched when the activation came; what is left are new pairs. Raises LeaseLost if
    another worker took them meanwhile.
    """
    token = uuid4()
    claimed = await pool.fetch(CLAIM_REJOINS, token, LEASE, limit)
    if not claimed:
        return 0
    changed = Stretches(
        np.array([row["device_id"] for row in claimed], dtype=np.int32),
        np.array([to_us(row["from_at"]) for row in claimed], dtype=np.int64),
        np.array([to_us(row["to_at"]) for row in claimed], dtype=np.int64),
    )
    async with renewed(pool, RENEW_REJOINS, token):
        candidates = await _find_along(pool, anywhere(changed), incidents)
        async with pool.acquire() as connection, connection.transaction():
            await add_candidates(connection, candidates, "fittings")
            await _finish(connection, FINISH_REJOINS, token, len(claimed))
    await _hint_due(pool)
    return len(claimed)


async def _find_along(pool: Pool, runs: Runs, incidents: OpenIncidents) -> list[Candidate]:
    """Read the trails about what is new, part by part, and join them with the open incidents."""
    async with pool.acquire() as connection:
        await incidents.refresh(connection)
    between = incidents.between()
    selection, stretches = await asyncio.to_thread(stretches_about, runs, incidents)
    candidates: set[Candidate] = set()
    for part in parts_of(stretches, between, await _days_within(pool, stretches)):
        async with _snapshot(pool) as connection:
            trails = await read_stretches(connection, part)
        candidates.update(await asyncio.to_thread(_find_candidates, trails, selection, between))
    return sorted(candidates)


async def _find_touched(pool: Pool, runs: Runs) -> list[Touch]:
    async with pool.acquire() as connection:
        return await find_touched_by_pings(
            connection, runs.device_id.tolist(), runs.from_us.tolist(), runs.to_us.tolist()
        )


async def _days_within(pool: Pool, stretches: Stretches) -> Longs:
    """Give days of which pings may be stored; asked only where stretches are of many: live pings are of one or two."""
    if stretches.device_id.size == 0:
        return np.empty(0, np.int64)
    first, last = int(stretches.from_us.min()) // DAY_US, int(stretches.to_us.max()) // DAY_US
    if last - first < _FEW_DAYS:
        return np.arange(first, last + 1)
    async with pool.acquire() as connection:
        return await find_days(connection)


async def _refresh(pool: Pool, incidents: OpenIncidents) -> Longs:
    """Bring the incidents up to date, and then give the days of which pings are stored.

    A day that is not there yet has pings of batches that commit later, and they see these incidents.
    """
    async with pool.acquire() as connection:
        await incidents.refresh(connection)
        return await find_days(connection)


def _runs_of(payloads: list[bytes]) -> Runs:
    return runs_of(np.concatenate([unpack(payload) for payload in payloads]))


def _find_candidates(trails: Trails, selection: Selection, between: Between) -> list[Candidate]:
    known = selection.incidents if selection.grid is None else selection.grid
    hits = space_time_join(trails, known, between)
    return [
        Candidate(
            selection.incident_id[incident],
            int(trails.device_id[device]),
            to_datetime(enter_us),
            to_datetime(leave_us),
            to_datetime(selection.context_from_us[incident]),
            to_datetime(selection.context_to_us[incident]),
        )
        for incident, device, enter_us, leave_us in zip(
            hits.incident, hits.device, hits.enter_us, hits.leave_us, strict=True
        )
    ]


def _amended(incident_ids: list[UUID], selection: Selection) -> list[Amended]:
    open_now = {
        incident_id: Amended(incident_id, to_datetime(from_us), to_datetime(to_us))
        for incident_id, from_us, to_us in zip(
            selection.incident_id, selection.context_from_us, selection.context_to_us, strict=True
        )
    }
    return [open_now.get(incident_id, Amended(incident_id, None, None)) for incident_id in incident_ids]


async def _finish(connection: Connection, finish: str, token: UUID, claimed: int) -> None:
    done = await connection.fetch(finish, token)
    if len(done) != claimed:
        raise LeaseLost


async def _hint_due(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await send_hint(connection, "due")


@contextlib.asynccontextmanager
async def _snapshot(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        yield connection
