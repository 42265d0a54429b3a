"""Alerts as they are shown."""

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from app.identity import alert_number


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
    """An alert as one of its revisions left it."""

    alert_id: UUID
    number: str  # what people call it
    match_id: UUID
    state: str
    revision: int
    kind: str  # of the revision: raised, revised, withdrawn, reopened
    why: str
    changed: list[str]
    incident: AlertIncident
    wearer: AlertWearer
    evidence: dict[str, Any] | None
    raised_at: datetime
    revised_at: datetime


class AlertPage(BaseModel):
    """A page of alerts in the order in which they were raised."""

    alerts: list[Alert]
    next: int | None


def alert_of(row: asyncpg.Record) -> Alert:
    """Make an alert from a row that has every column of `app.alerts.reading`."""
    return Alert(
        number=alert_number(row["alert_id"]),
        incident=AlertIncident(
            incident_id=row["incident_id"],
            force=row["force"],
            reference=row["incident_reference"],
            version=row["incident_version"],
            offence=row["offence"],
        ),
        wearer=AlertWearer(wearer_id=row["wearer_id"], reference=row["wearer_reference"]),
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
                "evidence",
                "raised_at",
                "revised_at",
            )
        },
    )
