"""A licence on the wire: as whoever is responsible for the person states it, what became of it, and as it is read."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.fields import Instant, Reference
from app.revisions import Outcome
from app.rows import Record, RowError

POST_EXAMPLE: JsonDict = {
    "licence_id": "L-2026-0311",
    "revision": 1,
    "wearer_reference": "W-7Q2M",
    "from": "2026-02-20T10:00:00+00:00",
    "to": "2026-08-21T00:00:00+01:00",
}


class PostedLicence(Record):
    """A stretch of time that somebody is on licence. What was sent stands; send a correction as a higher revision."""

    model_config = ConfigDict(json_schema_extra={"example": POST_EXAMPLE})

    licence_id: Reference = Field(description="What your organisation calls this licence.")
    revision: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    wearer_reference: Reference = Field(description="Of a wearer whom your organisation registered or manages.")
    from_at: Instant = Field(alias="from", description="The first instant of the licence: the release.")
    to_at: Instant | None = Field(
        None,
        alias="to",
        description="The first instant after it: the midnight that ends the last day. Absent or null: none is known.",
    )
    void: bool = Field(default=False, description="This licence never was.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.to_at is not None and self.to_at <= self.from_at:
            raise PydanticCustomError("ends_before_it_starts", "'to' must be after 'from'")
        return self


class StoredLicence(BaseModel):
    """What became of one posted revision."""

    line: int
    licence_id: str
    revision: int
    outcome: Outcome


class LicenceReceipt(BaseModel):
    """What became of a post; `line` counts its rows from 1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "stored": 1,
                "duplicates": 0,
                "rejected": 1,
                "licences": [{"line": 1, "licence_id": "L-2026-0311", "revision": 1, "outcome": "stored"}],
                "errors": [
                    {
                        "line": 2,
                        "pointer": "/wearer_reference",
                        "code": "unknown_wearer",
                        "message": "your organisation registered or manages no wearer with this reference",
                        "required_action": "Register the wearer first (POST /v1/wearers), have whoever did name your "
                        "organisation, or check the reference.",
                    }
                ],
                "ignored_fields": {},
            }
        }
    )

    stored: int
    duplicates: int
    rejected: int
    licences: list[StoredLicence]
    errors: list[RowError]
    ignored_fields: dict[str, int] = Field(description="Fields that are none of a licence's: how many rows have them.")


class ReceivedLicence(BaseModel):
    """One revision as it was received."""

    licence_id: str
    revision: int
    organisation: str = Field(description="Code of the organisation that stated it.")
    from_at: datetime = Field(serialization_alias="from")
    to_at: datetime | None = Field(serialization_alias="to")
    void: bool
    counts: bool = Field(description="False once a higher revision has come, and of one that takes the licence back.")
    received_at: datetime


class LicencePeriod(BaseModel):
    """A stretch of time on licence, `to` not included; null where no end is known."""

    from_at: datetime = Field(serialization_alias="from")
    to_at: datetime | None = Field(serialization_alias="to")


PERIOD_EXAMPLE: JsonDict = {"from": "2026-02-20T10:00:00Z", "to": "2026-08-20T23:00:00Z"}


class WearerLicences(BaseModel):
    """All that is known of when a wearer was on licence."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "wearer_id": "0d3c8a52-5c0e-5b7e-8d7b-6a4f2f1e9c10",
                "wearer_reference": "W-7Q2M",
                "received": [
                    {
                        "licence_id": "L-2026-0311",
                        "revision": 1,
                        "organisation": "london-north",
                        **PERIOD_EXAMPLE,
                        "void": False,
                        "counts": True,
                        "received_at": "2026-02-20T10:12:41.305000Z",
                    }
                ],
                "on_licence": [PERIOD_EXAMPLE],
            }
        }
    )

    wearer_id: UUID
    wearer_reference: str
    received: list[ReceivedLicence]
    on_licence: list[LicencePeriod] = Field(description="All that count, taken together; none: no licence is known.")
