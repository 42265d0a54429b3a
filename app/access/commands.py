"""`trailmatch key …`: make, list and revoke API keys."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer

from app.access.organisations import find_or_create_organisation
from app.access.viewer import SCOPES
from app.audit.store import record
from app.db import Connection
from app.failure import Failure
from app.postgres import database_url
from app.prepared import connect_prepared
from app.settings import Settings, load_settings

key = typer.Typer(no_args_is_help=True, help="API keys.")

Result = TypeVar("Result")
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@key.command("create", epilog=f"Scopes: {', '.join(sorted(SCOPES))}.")
def create(
    organisation: Annotated[str, typer.Option(help="Code of whose key it is; it is made if there is none.")],
    scope: Annotated[list[str], typer.Option(help="What the key may do; give it again for each.")],
    kind: Annotated[
        str | None, typer.Option(help="Of a new organisation: contractor, force, probation or operator.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of a new organisation; else its code.")] = None,
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    expires_days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until it expires.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only its hash is stored."""
    expires_at = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    scopes = set(scope)
    text = _run(lambda connection: _create(connection, organisation, kind, name, scopes, label, expires_at))
    if as_json:
        about = {"key": text, "organisation": organisation, "scopes": sorted(scopes), "expires_at": expires_at}
        typer.echo(json.dumps(about, default=datetime.isoformat))
    else:
        typer.echo(text)
        typer.echo("Keep it now: only its hash is stored, so it cannot be shown again.", err=True)


@key.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List every key by its public part."""
    keys = _run(_list)
    if as_json:
        typer.echo(json.dumps({"keys": keys}, default=datetime.isoformat))
        return
    from rich.console import Console  # noqa: PLC0415 - no other command waits for it
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table("prefix", "organisation", "scopes", "label", "created", "expires", "revoked")
    for each in keys:
        times = (each[when].strftime("%Y-%m-%d %H:%M") if each[when] else "" for when in _TIMES)
        table.add_row(each["prefix"], each["organisation"], " ".join(each["scopes"]), each["label"], *times)
    Console().print(table)


_TIMES = ("created_at", "expires_at", "revoked_at")


@key.command("revoke")
def revoke(prefix: Annotated[str, typer.Argument(help="The eight signs after tm_.")]) -> None:
    """Revoke a key for good; requests that carry it are refused from now on."""
    _run(lambda connection: _revoke(connection, prefix))
    typer.echo(f"{prefix} is revoked")


async def _create(
    connection: Connection,
    organisation: str,
    kind: str | None,
    name: str | None,
    scopes: set[str],
    label: str,
    expires_at: datetime | None,
) -> str:
    from app.access.keys import create_key  # noqa: PLC0415 - imports FastAPI, and `--help` need not wait for it

    organisation_id = await find_or_create_organisation(connection, organisation, kind, name)
    text = await create_key(connection, organisation_id, scopes, label, expires_at)
    await record(connection, None, "keys.create", f"{organisation} {_prefix(text)} {' '.join(sorted(scopes))}")
    return text


async def _list(connection: Connection) -> list[dict[str, Any]]:
    from app.access.keys import list_keys  # noqa: PLC0415 - as above

    await record(connection, None, "keys.list")
    return await list_keys(connection)


async def _revoke(connection: Connection, prefix: str) -> None:
    from app.access.keys import revoke_key  # noqa: PLC0415 - as above

    await revoke_key(connection, prefix)
    await record(connection, None, "keys.revoke", prefix)


def _prefix(text: str) -> str:
    return text.split("_")[1]


def _run(act: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Run one of the above in one transaction. What it refuses is a failure of the command."""
    settings = load_settings()
    with database_url(settings) as url:
        return asyncio.run(_run_on(url, settings, act))


async def _run_on(url: str, settings: Settings, act: Callable[[Connection], Awaitable[Result]]) -> Result:
    async with connect_prepared(url, settings, _say) as connection, connection.transaction():
        try:
            return await act(connection)
        except ValueError as error:
            raise Failure(str(error)) from None


def _say(line: str) -> None:
    typer.echo(line, err=True)
