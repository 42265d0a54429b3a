"""Matches as they are shown."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict, Field

from app.matching.examples import EVIDENCE_EXAMPLE, SAID_EXAMPLE
from matcher.profile import STANDARD

MATCH_EXAMPLE: dict[str, Any] = {
    "match_id": "0b0c8a5e-6f0c-5f1e-8d0a-5a8f0d5c9a11",
    "incident": {
        "incident_id": "7d1f9c52-0a34-5b7e-9c1d-2f6b8e4a3c10",
        "force": "Kent",
        "reference": "12/1234/26",
        "version": 1,
    },
    "wearer": {"wearer_id": "3e5a7b19-4c2d-5e8f-a1b2-c3d4e5f60718", "reference": "W-1"},
    "verdict": "present",
    **{name: EVIDENCE_EXAMPLE[name] for name in ("n_pings", "min_dist_m", "closest_at", "first_at", "last_at")},
    "said": SAID_EXAMPLE,
    "evidence": EVIDENCE_EXAMPLE,
    "profile": {"name": "standard", "version": 1, "sha256": STANDARD.sha256().hex()},
    "evaluated_at": "2026-03-14T09:41:07.220Z",
}


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


class Said(BaseModel):
    """The evidence in words, times as the clock in London shows them."""

    finding: str
    in_favour: list[str]
    against: list[str]


class Match(BaseModel):
    """What was found for one incident and one wearer; the columns repeat the evidence's first lines."""

    model_config = ConfigDict(json_schema_extra={"example": MATCH_EXAMPLE})

    match_id: UUID
    incident: IncidentName
    wearer: WearerName
    verdict: str
    n_pings: int
    min_dist_m: float | None
    closest_at: datetime | None
    first_at: datetime | None
    last_at: datetime | None
    said: Said | None = Field(description="Null for a match that was found before evidence was put into words.")
    evidence: dict[str, Any]
    profile: ProfileName
    evaluated_at: datetime


class MatchPage(BaseModel):
    """A page of matches in the order in which they first appeared."""

    model_config = ConfigDict(json_schema_extra={"example": {"matches": [MATCH_EXAMPLE], "next": None}})

    matches: list[Match]
    next: int | None


def match_of(row: asyncpg.Record) -> Match:
    """Make a match from a row that has every column of `app.matching.routes.SELECT`."""
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
                "said",
                "evidence",
                "evaluated_at",
            )
        },
    )
