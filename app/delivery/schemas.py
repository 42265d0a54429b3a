"""Endpoints, deliveries and notices on the wire."""

from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Literal
from uuid import UUID

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.fields import refuse_control_characters
from app.rows import Record

EventKind = Literal[
    "raised", "revised", "withdrawn", "reopened", "taken_up", "assigned", "decided", "outcome", "escalated"
]


def check_url(url: str) -> str:
    """Give the address back. Raises PydanticCustomError if nothing could ever be sent to it."""
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise PydanticCustomError("invalid", "is no address") from None
    if parsed.scheme not in {"https", "http"} or not host:
        raise PydanticCustomError("invalid", "must begin with https:// and name a host")
    if parsed.userinfo:
        raise PydanticCustomError("invalid", "must not hold a user or password; the signature says who sends")
    if parsed.fragment:
        raise PydanticCustomError("invalid", "must not hold a #")
    _refuse_odd_number(host)
    return url


def _refuse_odd_number(host: str) -> None:
    """Refuse a host such as 127.1 or 0x7f000001, which a resolver may take for an address."""
    last = host.rstrip(".").rpartition(".")[2]
    is_numeric = last.isdigit() or last.lower().startswith("0x")
    if is_numeric:
        try:
            ip_address(host)
        except ValueError:
            raise PydanticCustomError("invalid", "must be a name, or an address in full") from None


Url = Annotated[
    str, Field(min_length=1, max_length=2_000), AfterValidator(refuse_control_characters), AfterValidator(check_url)
]
Label = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(refuse_control_characters)
]

ENDPOINT_POST_EXAMPLE: JsonDict = {
    "url": "https://hooks.kent.example/trailmatch",
    "label": "Case management",
    "events": ["raised", "withdrawn", "escalated"],
}


class PostedEndpoint(Record):
    """Where your organisation wants to be told of its alerts."""

    model_config = ConfigDict(json_schema_extra={"example": ENDPOINT_POST_EXAMPLE})

    url: Url = Field(description="https; http only to a private network that the operator has allowed.")
    label: Label = ""
    events: list[EventKind] = Field([], max_length=9, description="Which events are sent; empty: all.")


class PatchedEndpoint(Record):
    """What to change of an endpoint; what is absent stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"is_enabled": True}})

    url: Url | None = None
    label: Label | None = None
    events: list[EventKind] | None = Field(None, max_length=9)
    is_enabled: bool | None = Field(None, description="What waits is kept while an endpoint is disabled.")


class RotatedSecret(Record):
    """How long the secret that is replaced goes on signing beside the new one."""

    model_config = ConfigDict(json_schema_extra={"example": {"overlap_hours": 24}})

    overlap_hours: Annotated[int, Field(ge=0, le=30 * 24)] = 24


ENDPOINT_EXAMPLE: JsonDict = {
    **ENDPOINT_POST_EXAMPLE,
    "endpoint_id": 3,
    "is_enabled": True,
    "disabled_because": None,
    "failures": 0,
    "resume_at": None,
    "waiting": 2,
    "oldest_waiting_at": "2026-03-14T09:41:07.220Z",
    "created_at": "2026-03-01T08:00:00.000Z",
}


class Endpoint(BaseModel):
    """An endpoint, and how it does."""

    model_config = ConfigDict(json_schema_extra={"example": ENDPOINT_EXAMPLE})

    endpoint_id: int
    url: str
    label: str
    events: list[str]
    is_enabled: bool
    disabled_because: str | None
    failures: int  # attempts since the last one that was acknowledged
    resume_at: datetime | None  # null: no pause
    waiting: int
    oldest_waiting_at: datetime | None
    created_at: datetime


class EndpointSecret(BaseModel):
    """A secret, shown this once."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDAAAAAAAAAAA=", "previous_until": None}
        }
    )

    secret: str
    previous_until: datetime | None  # till when the one before signs as well


class CreatedEndpoint(Endpoint):
    """A new endpoint, with its secret, which is not shown again."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {**ENDPOINT_EXAMPLE, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDAAAAAAAAAAA="}
        }
    )

    secret: str


class EndpointPage(BaseModel):
    """A page of endpoints, in the order in which they were made."""

    model_config = ConfigDict(json_schema_extra={"example": {"endpoints": [ENDPOINT_EXAMPLE], "next": None}})

    endpoints: list[Endpoint]
    next: int | None


ATTEMPT_EXAMPLE: JsonDict = {
    "attempt": 1,
    "started_at": "2026-03-14T09:41:07.400Z",
    "took_ms": 38,
    "address": "203.0.113.7",
    "status": 503,
    "error": "refused",
}


class Attempt(BaseModel):
    """One attempt to deliver."""

    model_config = ConfigDict(json_schema_extra={"example": ATTEMPT_EXAMPLE})

    attempt: int
    started_at: datetime
    took_ms: int
    address: str | None  # that was connected to
    status: int | None  # of the answer, by HTTP or SMTP
    error: str | None  # null: acknowledged


DELIVERY_EXAMPLE: JsonDict = {
    "delivery_id": 71,
    "event_id": "0b1f5c1e-6a51-4c8e-9d6c-4a1d3c1b7e55",
    "endpoint_id": 3,
    "account_id": None,
    "alert_id": "a1c2e3f4-5b6d-5789-90ab-cdef01234567",
    "event": "raised",
    "state": "waiting",
    "created_at": "2026-03-14T09:41:07.250Z",
    "due_at": "2026-03-14T09:41:12.600Z",
    "delivered_at": None,
    "attempts": 1,
    "last_status": 503,
    "last_error": "refused",
}


class Delivery(BaseModel):
    """One message to one receiver: an event to an endpoint, or a mail to a person."""

    model_config = ConfigDict(json_schema_extra={"example": DELIVERY_EXAMPLE})

    delivery_id: int
    event_id: UUID  # the same in every attempt: webhook-id is msg_ and this
    endpoint_id: int | None
    account_id: int | None
    alert_id: UUID | None  # null: a test or a mail
    event: str | None  # null: a test or a mail
    state: Literal["waiting", "delivered", "cancelled"]
    created_at: datetime
    due_at: datetime
    delivered_at: datetime | None
    attempts: int
    last_status: int | None
    last_error: str | None


class DeliveryPage(BaseModel):
    """A page of deliveries, in the order in which they were made."""

    model_config = ConfigDict(json_schema_extra={"example": {"deliveries": [DELIVERY_EXAMPLE], "next": None}})

    deliveries: list[Delivery]
    next: int | None


class LoggedDelivery(Delivery):
    """A delivery with the log of its attempts."""

    model_config = ConfigDict(json_schema_extra={"example": {**DELIVERY_EXAMPLE, "log": [ATTEMPT_EXAMPLE]}})

    log: list[Attempt]


NOTICE_EXAMPLE: JsonDict = {
    "account_id": 17,
    "told_as": "offender_manager",
    "event": "raised",
    "is_urgent": False,
    "noticed_at": "2026-03-14T09:41:07.250Z",
    "due_at": "2026-03-14T13:00:00Z",
    "told_at": None,
}


class Notice(BaseModel):
    """Who was told of an event."""

    account_id: int
    told_as: str
    event: str
    is_urgent: bool
    noticed_at: datetime
    due_at: datetime | None  # when the mail goes out; null: wants no e-mail
    told_at: datetime | None  # when the relay took it


class NoticeList(BaseModel):
    """Everybody who was told of an alert, the first first."""

    model_config = ConfigDict(json_schema_extra={"example": {"notices": [NOTICE_EXAMPLE]}})

    notices: list[Notice]
