"""Alerts as they are shown."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel, ConfigDict

from app.alerts.etag import etag_of
from app.identity import alert_number
from app.matching.examples import EVIDENCE_EXAMPLE, SAID_EXAMPLE
from app.matching.schemas import MATCH_EXAMPLE, Said

EXAMPLE: dict[str, Any] = {
    "alert_id": "a1c2e3f4-5b6d-5789-90ab-cdef01234567",
    "number": "A-M717YKX5",
    "match_id": MATCH_EXAMPLE["match_id"],
    "state": "new",
    "revision": 2,
    "kind": "revised",
    "why": "Later pings moved positions inside from 11 to 12 and seconds inside from 683.60 to 743.60.",
    "changed": ["inside_s", "last_at", "n_pings"],
    "incident": {**MATCH_EXAMPLE["incident"], "offence": "BIAD"},
    "wearer": MATCH_EXAMPLE["wearer"],
    "said": SAID_EXAMPLE,
    "evidence": EVIDENCE_EXAMPLE,
    "raised_at": "2026-03-14T09:41:07.220Z",
    "revised_at": "2026-03-14T09:43:55.031Z",
}


class AlertIncident(BaseModel):
    """The incident of an alert."""

    incident_id: UUID
    force: str
    reference: str
    version: int
    offence: str


class AlertWearer(BaseModel):
    """The person of an alert, by pseudonymous reference."""

    wearer_id: UUID
    reference: str


class Alert(BaseModel):
    """An alert as one of its revisions, or a change by people, left it."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    alert_id: UUID
    number: str  # what people call it
    match_id: UUID
    state: str
    revision: int
    kind: str  # of the revision: raised, revised, withdrawn, reopened; on the stream also what people did
    why: str
    changed: list[str]
    incident: AlertIncident
    wearer: AlertWearer
    said: Said | None
    evidence: dict[str, Any] | None
    raised_at: datetime
    revised_at: datetime


REVIEWED_EXAMPLE: dict[str, Any] = {
    **EXAMPLE,
    "state": "decided",
    "etag": '"2-1"',
    "assignee": "PO Nowak",
    "decision_id": "4d0d7a53-1b5e-4f0a-9a70-0f4f6f2f7d11",
    "decision": "explained",
    "decided_on_revision": 1,
    "is_revised_since": True,
}


class ReviewedAlert(Alert):
    """An alert as it stands: its last revision, and what people have made of it."""

    model_config = ConfigDict(json_schema_extra={"example": REVIEWED_EXAMPLE})

    etag: str  # for If-Match
    assignee: str | None
    decision_id: UUID | None  # of the last decision, whatever came of the alert since
    decision: str | None
    decided_on_revision: int | None
    is_revised_since: bool  # the evidence is another than that which was decided on


class AlertRevision(BaseModel):
    """One revision of an alert."""

    revision: int
    kind: str
    why: str
    changed: list[str]
    incident_version: int
    said: Said | None
    evidence: dict[str, Any] | None
    revised_at: datetime


REVISION_EXAMPLE: dict[str, Any] = {
    "revision": 2,
    "kind": "revised",
    "why": EXAMPLE["why"],
    "changed": EXAMPLE["changed"],
    "incident_version": 1,
    "said": SAID_EXAMPLE,
    "evidence": EVIDENCE_EXAMPLE,
    "revised_at": EXAMPLE["revised_at"],
}


class RevisionPage(BaseModel):
    """A page of an alert's revisions, the oldest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"revisions": [REVISION_EXAMPLE], "next": None}})

    revisions: list[AlertRevision]
    next: int | None


class AlertPage(BaseModel):
    """A page of alerts in the order in which they were raised."""

    model_config = ConfigDict(json_schema_extra={"example": {"alerts": [REVIEWED_EXAMPLE], "next": None}})

    alerts: list[ReviewedAlert]
    next: int | None


def alert_of(row: asyncpg.Record) -> Alert:
    """Make an alert from a row that has every column of `app.alerts.reading`."""
    return Alert(**_shown(row))


def reviewed_alert_of(row: asyncpg.Record) -> ReviewedAlert:
    """Make an alert as it stands from a row of `app.alerts.reading.LIST`."""
    decided_on = row["decided_on_revision"]
    return ReviewedAlert(
        etag=etag_of(row["revision"], row["touches"]),
        assignee=row["assignee"],
        decision_id=row["decision_id"],
        decision=row["decision"],
        decided_on_revision=decided_on,
        is_revised_since=decided_on is not None and decided_on < row["revision"],
        **_shown(row),
    )


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "number": alert_number(row["alert_id"]),
        "incident": AlertIncident(
            incident_id=row["incident_id"],
            force=row["force"],
            reference=row["incident_reference"],
            version=row["incident_version"],
            offence=row["offence"],
        ),
        "wearer": AlertWearer(wearer_id=row["wearer_id"], reference=row["wearer_reference"]),
        **{
            name: row[name]
            for name in (
                "alert_id",
                "match_id",
                "state",
                "revision",
                "kind",
                "why",
                "changed",
                "said",
                "evidence",
                "raised_at",
                "revised_at",
            )
        },
    }
