"""`trailmatch endpoint …` and `trailmatch delivery …`: what an operator does for an organisation, by its code."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.access.viewer import Viewer
from app.db import Connection, Pool, connect_pool
from app.failure import Failure
from app.migrate import refuse_unless_migrated
from app.postgres import database_url
from app.settings import load_settings

if TYPE_CHECKING:
    from app.delivery.outside import Outside

endpoint = typer.Typer(no_args_is_help=True, help="Endpoints of webhooks.")
delivery = typer.Typer(no_args_is_help=True, help="What was sent to endpoints and people, or waits to be.")

Result = TypeVar("Result")
Organisation = Annotated[str, typer.Option(help="Code of the force or probation region.")]
Number = Annotated[int, typer.Argument(min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

# At the command line a list is one page; the API has the rest.
_LINES = 1_000


@endpoint.command("list")
def list_all(organisation: Organisation, *, as_json: AsJson = False) -> None:
    """List an organisation's endpoints and how they do."""

    async def act(pool: Pool, viewer: Viewer, _outside: "Outside") -> list[dict[str, Any]]:
        from app.delivery.endpoints import list_endpoints  # noqa: PLC0415 - `--help` need not wait for it

        async with pool.acquire() as connection, connection.transaction():
            return [found.model_dump(mode="json") for found in await list_endpoints(connection, viewer, 0, _LINES)]

    found = _run(organisation, act)
    lines = (f"{e['endpoint_id']}  {_state(e)}  {e['waiting']} waiting  {e['url']}" for e in found)
    typer.echo(json.dumps({"endpoints": found}) if as_json else "\n".join(lines))


def _state(found: dict[str, Any]) -> str:
    if not found["is_enabled"]:
        return f"disabled: {found['disabled_because']}"
    return f"failing, {found['failures']} times" if found["failures"] else "well"


@endpoint.command("create")
def create(
    organisation: Organisation,
    url: Annotated[str, typer.Argument(help="Where events are sent; https.")],
    *,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    event: Annotated[list[str] | None, typer.Option(help="Which events; give it again for each. Else all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an endpoint and print its secret, this once."""

    async def act(pool: Pool, viewer: Viewer, outside: "Outside") -> dict[str, Any]:
        from pydantic import ValidationError  # noqa: PLC0415 - as above

        from app.delivery.endpoints import create_endpoint  # noqa: PLC0415 - as above
        from app.delivery.schemas import PostedEndpoint  # noqa: PLC0415 - as above

        try:
            posted = PostedEndpoint.model_validate({"url": url, "label": label, "events": event or []})
        except ValidationError as error:
            raise Failure("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors(include_input=False))) from None
        async with pool.acquire() as connection, connection.transaction():
            made = await create_endpoint(connection, viewer, posted, outside.signing_key, outside.allowed)
        return {"endpoint_id": made.endpoint.endpoint_id, "secret": made.secret}

    _print_secret(_run(organisation, act), as_json=as_json)


@endpoint.command("rotate")
def rotate(
    organisation: Organisation,
    endpoint_id: Number,
    *,
    overlap_hours: Annotated[int, typer.Option(min=0, max=720, help="How long the old one signs as well.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Replace an endpoint's secret and print the new one, this once."""

    async def act(pool: Pool, viewer: Viewer, outside: "Outside") -> dict[str, Any]:
        from app.delivery.endpoints import rotate_secret  # noqa: PLC0415 - as above

        until = outside.clock() + timedelta(hours=overlap_hours)
        async with pool.acquire() as connection, connection.transaction():
            secret = await rotate_secret(connection, viewer, endpoint_id, outside.signing_key, until)
        return {"endpoint_id": endpoint_id, "secret": secret}

    _print_secret(_run(organisation, act), as_json=as_json)


def _print_secret(made: dict[str, Any], *, as_json: bool) -> None:
    typer.echo(json.dumps(made) if as_json else f"endpoint {made['endpoint_id']}\n{made['secret']}")
    if not as_json:
        typer.echo("Keep the secret now: it is not stored, and cannot be shown again.", err=True)


@endpoint.command("test")
def try_out(organisation: Organisation, endpoint_id: Number, *, as_json: AsJson = False) -> None:
    """Send a test to an endpoint, once; exit 1 if it is not acknowledged."""

    async def act(pool: Pool, viewer: Viewer, outside: "Outside") -> dict[str, Any]:
        from app.delivery.trial import send_test  # noqa: PLC0415 - as above

        return (await send_test(pool, viewer, endpoint_id, outside)).model_dump(mode="json")

    sent = _run(organisation, act)
    words = "acknowledged" if sent["last_error"] is None else f"not acknowledged: {sent['last_error']}"
    status = "" if sent["last_status"] is None else f" (status {sent['last_status']})"
    typer.echo(json.dumps(sent) if as_json else f"{words}{status}, {sent['log'][0]['took_ms']} ms")
    raise typer.Exit(0 if sent["last_error"] is None else 1)


@delivery.command("list")
def list_waiting(organisation: Organisation, *, as_json: AsJson = False) -> None:
    """List what waits to be delivered to an organisation's endpoints and people."""

    async def act(pool: Pool, viewer: Viewer, _outside: "Outside") -> list[dict[str, Any]]:
        from app.delivery.log import Filter, list_deliveries  # noqa: PLC0415 - as above

        async with pool.acquire() as connection, connection.transaction():
            found = await list_deliveries(connection, viewer, 0, _LINES, Filter(state="waiting"))
        return [each.model_dump(mode="json") for each in found]

    found = _run(organisation, act)
    lines = (
        f"{d['delivery_id']}  to {_receiver(d)}  {d['event'] or 'mail'}  {d['attempts']} attempts  "
        f"{d['last_error'] or ''}"
        for d in found
    )
    typer.echo(json.dumps({"deliveries": found}) if as_json else "\n".join(lines))


def _receiver(found: dict[str, Any]) -> str:
    if found["endpoint_id"] is not None:
        return f"endpoint {found['endpoint_id']}"
    return f"account {found['account_id']}"


@delivery.command("retry")
def retry_one(organisation: Organisation, delivery_id: Number) -> None:
    """Let a delivery be sent again now, by the service or a worker that runs."""

    async def act(pool: Pool, viewer: Viewer, outside: "Outside") -> None:
        from app.delivery.log import retry  # noqa: PLC0415 - as above
        from app.wake import send_hint  # noqa: PLC0415 - as above

        async with pool.acquire() as connection:
            async with connection.transaction():
                await retry(connection, viewer, delivery_id, outside.clock())
            await send_hint(connection, "delivery")

    _run(organisation, act)
    typer.echo(f"delivery {delivery_id} is due now")


def _run(organisation: str, act: "Callable[[Pool, Viewer, Outside], Awaitable[Result]]") -> Result:
    """Act for an organisation. What the API would refuse is a failure of the command, in the same words."""
    settings = load_settings()
    from app.delivery.outside import outside_of  # noqa: PLC0415 - as above

    with database_url(settings) as url:
        return asyncio.run(_run_on(url, organisation, outside_of(settings), act))


async def _run_on(
    url: str, organisation: str, outside: "Outside", act: "Callable[[Pool, Viewer, Outside], Awaitable[Result]]"
) -> Result:
    from app.errors import AppError  # noqa: PLC0415 - as above

    async with connect_pool(url, max_size=2) as pool:
        async with pool.acquire() as connection:
            await refuse_unless_migrated(connection)
            viewer = await _viewer_of(connection, organisation)
        try:
            return await act(pool, viewer, outside)
        except AppError as error:
            raise Failure(" ".join([error.detail, *(each["message"] for each in error.errors)])) from None


FIND_ORGANISATION = "SELECT organisation_id, code, kind FROM organisation WHERE code = $1"


async def _viewer_of(connection: Connection, code: str) -> Viewer:
    """Somebody at the command line who acts for an organisation: the audit names neither key nor account."""
    row = await connection.fetchrow(FIND_ORGANISATION, code)
    if row is None:
        raise Failure(f"there is no organisation {code!r}")
    return Viewer(row["organisation_id"], row["code"], row["kind"], frozenset())
