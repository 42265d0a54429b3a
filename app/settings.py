"""Settings from the environment: `TRAILMATCH_…`, and `DATABASE_URL` as every platform calls it."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.failure import Failure


class Settings(BaseSettings):
    """Each field is read from `TRAILMATCH_` and its name in capitals; an empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_prefix="TRAILMATCH_", env_ignore_empty=True, validate_by_name=True, validate_by_alias=True, frozen=True
    )

    # None: an embedded PostgreSQL in `state_dir`. Never shown: it may hold a password.
    database_url: Annotated[str, StringConstraints(pattern=r"^postgres(ql)?://")] | None = Field(
        default=None, validation_alias="DATABASE_URL", repr=False
    )
    # The embedded database, its log and numba's cache; safe to delete once everything in it may go.
    state_dir: Path = Path(".trailmatch")
    # Whether the service matches in its own process; else `trailmatch worker` does.
    matcher: bool = True
    # The profile of incidents that name none.
    default_profile: str = "radius-100m"


def load_settings() -> Settings:
    """Read the settings. Raises Failure that names every bad variable, but no value: it may be secret."""
    try:
        return Settings()
    except ValidationError as error:
        reasons = [f"{_variable(str(each['loc'][0]))}: {each['msg']}" for each in error.errors(include_input=False)]
        raise Failure("; ".join(reasons)) from None


def _variable(field: str) -> str:
    """The variable's name as its user wrote it."""
    return field if field == "DATABASE_URL" else f"TRAILMATCH_{field.upper()}"
