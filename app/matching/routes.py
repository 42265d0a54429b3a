"""Matches over HTTP."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from app.access.keys import requires
from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound
from app.pages import After, Limit, link_next

router = APIRouter(prefix="/v1", tags=["matches"])

Reader = Annotated[Viewer, Depends(requires("matches:read"))]


class IncidentName(BaseModel):
    """An incident, by id and by what its force calls it."""

    incident_id: UUID
    force: str
    reference: str
    version: int


class WearerName(BaseModel):
    """A wearer, by id and by pseudonymous reference."""

    wearer_id: UUID
    reference: str


class ProfileName(BaseModel):
    """The settings by which a match was made."""

    name: str
    version: int
    sha256: str


class Match(BaseModel):
    """What was found for one incident and one wearer; the columns repeat the evidence's first lines."""

    match_id: UUID
    incident: IncidentName
    wearer: WearerName
    verdict: str
    n_pings: int
    min_dist_m: float | None
    closest_at: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    evidence: dict[str, Any]
    profile: ProfileName
    evaluated_at: datetime


class MatchPage(BaseModel):
    """A page of matches in the order in which they first appeared."""

    matches: list[Match]
    next: int | None


# A match is seen by the force whose incident it is, and by the force and the probation region of the wearer.
SELECT = """
SELECT m.match_seq, m.match_id, m.verdict, m.n_pings, m.min_dist_m, m.closest_at, m.first_at, m.last_at, m.evidence,
    m.evaluated_at, m.incident_version, i.incident_id, o.code AS force, i.reference AS incident_reference, w.wearer_id,
    w.reference AS wearer_reference, p.name AS profile, p.version AS profile_version,
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


async def find_match(connection: Connection, viewer: Viewer, match_id: UUID) -> Match:
    """Read one live match. Raises NotFound if there is none, or the viewer may not see it."""
    row = await connection.fetchrow(SELECT, viewer.organisation_id, 0, 1, match_id, None, None, 0)
    await record(connection, viewer, "matches.get", str(match_id), [row["wearer_id"]] if row else [])
    if row is None:
        raise NotFound("There is no match with this id, or this key may not see it.")
    return match_of(row)


def match_of(row: Any) -> Match:  # noqa: ANN401 - an asyncpg.Record, which mypy cannot index by name
    """Make a match from a row of SELECT."""
    return Match(
        incident=IncidentName(
            incident_id=row["incident_id"],
            force=row["force"],
            reference=row["incident_reference"],
            version=row["incident_version"],
        ),
        wearer=WearerName(wearer_id=row["wearer_id"], reference=row["wearer_reference"]),
        profile=ProfileName(name=row["profile"], version=row["profile_version"], sha256=row["profile_sha256"]),
        **{
            name: row[name]
            for name in (
                "match_id",
                "verdict",
                "n_pings",
                "min_dist_m",
                "closest_at",
                "first_at",
                "last_at",
                "evidence",
                "evaluated_at",
            )
        },
    )
