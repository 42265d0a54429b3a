"""A person's account on the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.fields import Reference
from app.rows import Record, RowError

Role = Literal["offender_manager", "analyst", "hub_manager", "operator", "auditor"]

# Visible ASCII on both sides of one @: whether it can be delivered to, only sending shows.
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[!-?A-~]+@[!-?A-~]+$")]

POST_EXAMPLE: JsonDict = {"email": "r.okafor@probation.example", "name": "R. Okafor", "role": "offender_manager"}


class PostedAccount(Record):
    """A person of your organisation, by their e-mail address in any case of letters; posted again, it is replaced."""

    model_config = ConfigDict(json_schema_extra={"example": POST_EXAMPLE})

    email: Email
    name: Reference
    role: Role
    disabled: bool = Field(default=False, description="The person has left; what they did stays theirs.")


class StoredAccount(BaseModel):
    """What became of one posted account."""

    line: int
    account_id: int
    email: str = Field(description="In small letters.")
    outcome: Literal["created", "updated", "unchanged"]


class AccountReceipt(BaseModel):
    """What became of a post; `line` counts its rows from 1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "created": 1,
                "updated": 0,
                "unchanged": 0,
                "rejected": 0,
                "accounts": [
                    {"line": 1, "account_id": 17, "email": "r.okafor@probation.example", "outcome": "created"}
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
    accounts: list[StoredAccount]
    errors: list[RowError]
    ignored_fields: dict[str, int] = Field(description="Fields that are none of an account's: how many rows have them.")
