"""A wearer on the wire: a pseudonymous reference, and who is responsible."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.activations.schemas import EFFECTIVE_EXAMPLE, EffectiveActivation
from app.fields import OrganisationCode, Reference
from app.licences.schemas import PERIOD_EXAMPLE, LicencePeriod
from app.rows import Record, RowError

POST_EXAMPLE: JsonDict = {"reference": "W-7Q2M", "force": "metropolitan", "probation": "london-north"}


class PostedWearer(Record):
    """A person who wears a tag, by a reference that only who keeps it can resolve; posted again, it is replaced."""

    model_config = ConfigDict(json_schema_extra={"example": POST_EXAMPLE})

    reference: Reference
    force: OrganisationCode | None = Field(None, description="Code of the force that manages this person.")
    probation: OrganisationCode | None = Field(None, description="Code of the probation region that does.")


class StoredWearer(BaseModel):
    """What became of one posted wearer."""

    line: int
    wearer_id: UUID
    reference: str
    outcome: Literal["created", "updated", "unchanged"]


class WearerReceipt(BaseModel):
    """What became of a post; `line` counts its rows from 1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "created": 1,
                "updated": 0,
                "unchanged": 0,
                "rejected": 0,
                "wearers": [
                    {
                        "line": 1,
                        "wearer_id": "0d3c8a52-5c0e-5b7e-8d7b-6a4f2f1e9c10",
                        "reference": "W-7Q2M",
                        "outcome": "created",
                    }
                ],
                "errors": [],
                "ignored_fields": {},
            }
        }
    )

    created: int
    updated: int
    unchanged: int
    rejected: int
    wearers: list[StoredWearer]
    errors: list[RowError]
    ignored_fields: dict[str, int] = Field(description="Fields that are none of a wearer's: how many rows have them.")


class Wearer(BaseModel):
    """A wearer."""

    wearer_id: UUID
    reference: str
    force: str | None
    probation: str | None
    created_at: datetime
    updated_at: datetime


EXAMPLE: JsonDict = {
    "wearer_id": "0d3c8a52-5c0e-5b7e-8d7b-6a4f2f1e9c10",
    "reference": "W-7Q2M",
    "force": "metropolitan",
    "probation": "london-north",
    "created_at": "2026-02-20T14:35:02.417000Z",
    "updated_at": "2026-02-20T14:35:02.417000Z",
}


class WearerPage(BaseModel):
    """A page of wearers, in the order of their ids."""

    model_config = ConfigDict(json_schema_extra={"example": {"wearers": [EXAMPLE], "next": None}})

    wearers: list[Wearer]
    next: UUID | None


class WearerRecord(Wearer):
    """A wearer, which tags they wore when, and when they are on licence."""

    model_config = ConfigDict(
        json_schema_extra={"example": {**EXAMPLE, "activations": [EFFECTIVE_EXAMPLE], "on_licence": [PERIOD_EXAMPLE]}}
    )

    activations: list[EffectiveActivation]
    on_licence: list[LicencePeriod] = Field(description="None of them: no licence is known.")
