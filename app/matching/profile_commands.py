"""`trailmatch profile …`: the settings by which incidents are matched."""

import asyncio
import json
import re
from typing import Annotated

import typer

from app.failure import Failure
from app.matching.profiles import StoredProfile, find_newest, publish_profile
from app.postgres import database_url
from app.prepared import connect_prepared
from app.settings import Settings, load_settings
from matcher.profile import BUILT_IN, Profile, plain_radius

profile = typer.Typer(no_args_is_help=True, help="The settings by which incidents are matched.")

_OURS = frozenset(built_in.name for built_in in BUILT_IN)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@profile.command("publish")
def publish(
    name: Annotated[str, typer.Argument(help="What incidents call it; a known name gets a new version.")],
    *,
    radius_m: Annotated[float, typer.Option(help="How near a position counts, in metres.")] = 100.0,
    pad_s: Annotated[float, typer.Option(help="Seconds added to both ends of the window.")] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish a profile that counts every position within one radius and padding, whatever the offence.

    Incidents are matched by it once they name it in `profile`. Equal settings make no new version.
    """
    wanted = _made(name, radius_m, pad_s)
    settings = load_settings()
    with database_url(settings) as url:
        stored = asyncio.run(_publish(url, settings, wanted))
    told = {"name": name, "version": stored.version, "sha256": stored.profile.sha256().hex()}
    typer.echo(json.dumps(told) if as_json else f"{name} version {stored.version} is published")


def _made(name: str, radius_m: float, pad_s: float) -> Profile:
    """Make the profile. Raises Failure if its name cannot be one, is one of ours, or a setting is out of range."""
    if not _NAME.fullmatch(name):
        raise Failure(f"a profile is named by small letters, digits and hyphens, at most 64: not {name!r}")
    if name in _OURS:
        raise Failure(f"{name} comes with TrailMatch and is not changed; choose another name")
    try:
        return plain_radius(name, radius_m, pad_s)
    except ValueError as error:
        raise Failure(str(error)) from None


async def _publish(url: str, settings: Settings, wanted: Profile) -> StoredProfile:
    async with connect_prepared(url, settings, lambda line: typer.echo(line, err=True)) as connection:
        await publish_profile(connection, wanted)
        newest = (await find_newest(connection, [wanted.name]))[wanted.name]
    if newest.profile != wanted:
        # Versions are never changed or put in another order, so an old one does not become the newest again.
        raise Failure(f"{wanted.name} had these settings before its version {newest.version}; give them another name")
    return newest
