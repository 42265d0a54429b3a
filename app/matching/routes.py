"""Matches over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound
from app.matching.asked_chance import weigh_chance
from app.matching.chance_schemas import MatchChance
from app.matching.schemas import Match, MatchPage, match_of
from app.pages import After, Limit, link_next

router = APIRouter(prefix="/v1", tags=["matches"])

Reader = Annotated[Viewer, Depends(requires("matches:read"))]


# A match is seen by the force whose incident it is, and by the force and the probation region of the wearer.
SELECT = """
SELECT m.match_seq, m.match_id, m.verdict, m.n_pings, m.min_dist_m, m.closest_at, m.first_at, m.last_at, m.said,
    m.evidence, m.evaluated_at, m.incident_version, i.incident_id, o.code AS force, i.reference AS incident_reference,
    w.wearer_id, w.reference AS wearer_reference, p.name AS profile, p.version AS profile_version,
    encode(p.settings_sha256, 'hex') AS profile_sha256
FROM match m
JOIN incident i USING (incident_id)
JOIN organisation o ON o.organisation_id = i.force_id
JOIN wearer w USING (wearer_id)
JOIN profile p USING (profile_id)
WHERE m.is_live AND m.match_seq > $2
  AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
  AND ($4::uuid IS NULL OR m.match_id = $4)
  AND ($5::uuid IS NULL OR m.incident_id = $5)
  AND ($6::uuid IS NULL OR m.wearer_id = $6)
  AND m.n_pings >= $7
ORDER BY m.match_seq LIMIT $3
"""


@router.get("/matches")
async def list_matches(
    request: Request,
    response: Response,
    viewer: Reader,
    after: After = 0,
    limit: Limit = 100,
    incident_id: UUID | None = None,
    wearer_id: UUID | None = None,
    min_pings: Annotated[int, Query(ge=0, description="Only matches with so many positions inside.")] = 0,
) -> MatchPage:
    """Give the live matches that the caller may see, a page at a time."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(
            SELECT, viewer.organisation_id, after, limit, None, incident_id, wearer_id, min_pings
        )
        subject = f"incident={incident_id} wearer={wearer_id} after={after}"
        await record(connection, viewer, "matches.list", subject, [row["wearer_id"] for row in rows])
    last = rows[-1]["match_seq"] if rows else after
    return MatchPage(matches=[match_of(row) for row in rows], next=link_next(request, response, last, len(rows), limit))


@router.get("/matches/{match_id}")
async def get_match(request: Request, viewer: Reader, match_id: UUID) -> Match:
    """Give one live match."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_match(connection, viewer, match_id)


@router.get("/matches/{match_id}/chance")
async def get_chance(request: Request, viewer: Reader, match_id: UUID) -> MatchChance:
    """Give how often the wearer of a live match is there anyway, whatever its verdict.

    The evidence of a match that is `present` says so itself. Of others it is weighed now, by the incident's latest
    version and the positions of the days before as they are stored now, and not kept.
    """
    async with request.app.state.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        return await weigh_chance(connection, viewer, match_id)


async def find_match(connection: Connection, viewer: Viewer, match_id: UUID) -> Match:
    """Read one live match. Raises NotFound if there is none, or the viewer may not see it."""
    row = await connection.fetchrow(SELECT, viewer.organisation_id, 0, 1, match_id, None, None, 0)
    if row is None:
        raise NotFound("There is no match with this id, or this key may not see it.")
    await record(connection, viewer, "matches.get", str(match_id), [row["wearer_id"]])
    return match_of(row)
