"""Devices on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class WornBy(BaseModel):
    """Who wears a tag now, and since when."""

    wearer_id: UUID
    reference: str
    since: datetime


class Device(BaseModel):
    """A tag."""

    device_id: str = Field(description="Its serial.")
    first_seen_at: datetime
    worn_by: WornBy | None = Field(description="Null if it is assigned to nobody now.")


class DevicePage(BaseModel):
    """A page of devices in the order in which they were first heard of."""

    devices: list[Device]
    next: int | None
