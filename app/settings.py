"""Settings from the environment: `TRAILMATCH_…`, and `DATABASE_URL` as every platform calls it."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.failure import Failure


class Settings(BaseSettings):
    """Each field is read from `TRAILMATCH_` and its name in capitals; an empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_prefix="TRAILMATCH_", env_ignore_empty=True, validate_by_name=True, validate_by_alias=True, frozen=True
    )

    # None: an embedded PostgreSQL in `state_dir`. Never shown: it may hold a password.
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL", repr=False)
    # The embedded database, its log and numba's cache; safe to delete once everything in it may go.
    state_dir: Path = Path(".trailmatch")
    # Whether the service starts a worker beside it; else `trailmatch worker` is started by whoever runs it.
    matcher: bool = True
    # The profile of incidents that name none.
    default_profile: str = "standard"
    # How much one body of pings may be: as sent, decompressed, and in rows.
    max_body_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    max_decoded_bytes: int = Field(default=256 * 1024 * 1024, gt=0)
    max_rows: int = Field(default=1_000_000, gt=0)
    # How many bodies of pings are worked on at a time, and how many bytes as sent; more are asked to come again (429).
    max_bodies: int = Field(default=64, gt=0)
    max_bodies_bytes: int = Field(default=256 * 1024 * 1024, gt=0)
    # How many alert streams one process keeps open; more are asked to come again (429).
    max_streams: int = Field(default=500, gt=0)
    # How long a body may take to arrive.
    max_body_s: float = Field(default=60.0, gt=0)
    # Pings older than this many days are refused; None: none is too old.
    ping_retention_days: int | None = Field(default=None, gt=0)
    # An hour of a trail is packed so many hours after its end; its row is kept besides for so many whole days.
    seal_after_hours: float = Field(default=2.0, ge=0)
    hot_days: int = Field(default=14, ge=1)
    # Where people and machines reach the service, as in https://trailmatch.example; told in webhooks and mails.
    public_url: str = ""
    # What the secrets of endpoints are computed with: the same in every process. Never shown.
    signing_key: str | None = Field(default=None, min_length=32, repr=False)
    # Private networks that webhooks may be sent to, as in 10.20.0.0/16,fd00::/8; none unless named.
    webhook_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    # What was delivered, to whom and when, is forgotten so many days later.
    delivery_log_days: int = Field(default=365, gt=0, le=100_000)
    # The mail relay; None: no mail is sent. The password is never shown.
    smtp_host: str | None = None
    smtp_port: int = Field(default=587, gt=0, lt=65_536)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: str | None = Field(default=None, repr=False)
    mail_from: str = "trailmatch@localhost"

    @field_validator("webhook_networks", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text

    @field_validator("public_url")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("must begin with https://")
        return url.rstrip("/")

    @field_validator("mail_from")
    @classmethod
    def _is_mail_address(cls, address: str) -> str:
        if re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", address) is None:
            raise ValueError("must be an e-mail address")
        return address

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return url


def load_settings() -> Settings:
    """Read the settings. Raises Failure that names every bad variable, but no value: it may be secret."""
    try:
        return Settings()
    except ValidationError as error:
        reasons = [
            f"{_variable(str(each['loc'][0]))}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_input=False)
        ]
        raise Failure("; ".join(reasons)) from None


def _variable(field: str) -> str:
    """The variable's name as its user wrote it."""
    return field if field == "DATABASE_URL" else f"TRAILMATCH_{field.upper()}"
