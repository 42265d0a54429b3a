"""`trailmatch profile …`: the settings by which incidents are matched."""

import asyncio
import json
import re
from dataclasses import replace
from typing import Annotated

import typer

from app.db import Connection
from app.failure import Failure
from app.matching.profiles import StoredProfile, find_newest, publish_profile
from app.postgres import database_url
from app.prepared import connect_prepared
from app.settings import Settings, load_settings
from matcher.profile import BUILT_IN, PRESENCE, Profile, check, plain_radius

profile = typer.Typer(no_args_is_help=True, help="The settings by which incidents are matched.")

_OURS = {built_in.name: built_in for built_in in BUILT_IN}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@profile.command("publish")
def publish(
    name: Annotated[str, typer.Argument(help="What incidents call it; a known name gets a new version.")],
    *,
    like: Annotated[str | None, typer.Option(help="Start from this one of ours, not from a plain radius.")] = None,
    level: Annotated[
        list[str] | None,
        typer.Option(
            help="With what probability a stated accuracy holds the position, by source (gps=0.9) or by contractor and "
            "source ('acme gps=0.68'), which goes before; 0.95 unless said. Repeat it for several."
        ),
    ] = None,
    radius_m: Annotated[
        float | None, typer.Option(help="How near a position counts, in metres; 100 unless said.")
    ] = None,
    pad_s: Annotated[
        float | None, typer.Option(help="Seconds added to both ends of the window; 600 unless said.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish a profile: every position within one radius and padding, or one of ours with other levels of accuracy.

    Incidents are matched by it once they name it in `profile`, or name none and TRAILMATCH_DEFAULT_PROFILE does. Equal
    settings make no new version.
    """
    wanted = _made(name, like, level or [], radius_m, pad_s)
    settings = load_settings()
    with database_url(settings) as url:
        stored = asyncio.run(_publish(url, settings, wanted))
    told = {"name": name, "version": stored.version, "sha256": stored.profile.sha256().hex()}
    typer.echo(json.dumps(told) if as_json else f"{name} version {stored.version} is published")


def _made(name: str, like: str | None, levels: list[str], radius_m: float | None, pad_s: float | None) -> Profile:
    """Make the profile. Raises Failure if its name cannot be one, is one of ours, or a setting is out of range."""
    if not _NAME.fullmatch(name):
        raise Failure(f"a profile is named by small letters, digits and hyphens, at most 64: not {name!r}")
    if name in _OURS:
        raise Failure(f"{name} comes with TrailMatch and is not changed; choose another name")
    try:
        if like is not None:
            return _with_levels(name, like, levels, radius_m, pad_s)
        if levels:
            raise Failure("a plain radius takes positions as they are: --level needs --like standard")
        return plain_radius(name, 100.0 if radius_m is None else radius_m, 600.0 if pad_s is None else pad_s)
    except ValueError as error:
        raise Failure(str(error)) from None


def _with_levels(name: str, like: str, levels: list[str], radius_m: float | None, pad_s: float | None) -> Profile:
    """Make one of ours with other levels of accuracy. Raises ValueError if a level cannot be one."""
    if like not in _OURS:
        raise Failure(f"there is no {like!r} to start from; these come with TrailMatch: {', '.join(_OURS)}")
    if (radius_m, pad_s) != (None, None):
        raise Failure("--radius-m and --pad-s make a plain radius; with --like they have no place")
    model = _OURS[like]
    if levels and model.rule != PRESENCE:
        raise Failure(f"{like} takes positions as they are: --level needs --like standard")
    made = replace(model, name=name, accuracy=replace(model.accuracy, levels=dict(map(_level, levels))))
    check(made)
    return made


def _level(said: str) -> tuple[str, float]:
    """Read 'acme gps=0.68'."""
    of, _, level = said.rpartition("=")
    try:
        return of.strip(), float(level)
    except ValueError:
        raise Failure(f"--level is a source, or a contractor and a source, = a probability: not {said!r}") from None


async def _publish(url: str, settings: Settings, wanted: Profile) -> StoredProfile:
    async with connect_prepared(url, settings, lambda line: typer.echo(line, err=True)) as connection:
        await _refuse_strangers(connection, wanted)
        await publish_profile(connection, wanted)
        newest = (await find_newest(connection, [wanted.name]))[wanted.name]
    if newest.profile != wanted:
        # Versions are never changed or put in another order, so an old one does not become the newest again.
        raise Failure(f"{wanted.name} had these settings before its version {newest.version}; give them another name")
    return newest


CONTRACTORS = "SELECT code FROM organisation WHERE kind = 'contractor' ORDER BY code"


async def _refuse_strangers(connection: Connection, wanted: Profile) -> None:
    """Raise Failure if a level is of a contractor that there is not: it would change nothing, and nobody would know."""
    named = {of.rpartition(" ")[0] for of in wanted.accuracy.levels} - {""}
    known = [row["code"] for row in await connection.fetch(CONTRACTORS)]
    if strangers := sorted(named - set(known)):
        raise Failure(f"no contractor has the code {', '.join(strangers)}; there are: {', '.join(known) or 'none'}")
