"""Settings from the environment: `TRAILMATCH_…`, and `DATABASE_URL` as every platform calls it."""

from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

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
    # Whether the service matches in its own process; else `trailmatch worker` does.
    matcher: bool = True
    # The profile of incidents that name none.
    default_profile: str = "radius-100m"
    # How much one body of pings may be: as sent, decompressed, and in rows.
    max_body_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    max_decoded_bytes: int = Field(default=256 * 1024 * 1024, gt=0)
    max_rows: int = Field(default=1_000_000, gt=0)
    # Pings older than this many days are refused; None: none is too old.
    ping_retention_days: int | None = Field(default=None, gt=0)
    # An hour of a trail is packed so many hours after its end; its row is kept besides for so many whole days.
    seal_after_hours: float = Field(default=2.0, ge=0)
    hot_days: int = Field(default=14, ge=1)

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
