"""`trailmatch pings …`: send a file of pings to the service, or rejected rows through the checks again."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from app.db import connect_pool
from app.postgres import database_url
from app.settings import load_settings

if TYPE_CHECKING:
    from app.pings.rejects import Retried

pings = typer.Typer(no_args_is_help=True, help="Pings.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_PARTIAL = 3


@pings.command("load")
def load(
    file: Annotated[str, typer.Argument(help="A .parquet, .csv, .ndjson or .jsonl file, or - for NDJSON from stdin.")],
    key: Annotated[
        str, typer.Option(envvar="TRAILMATCH_KEY", help="API key; better in the variable: arguments can be seen.")
    ],
    url: Annotated[str, typer.Option(envvar="TRAILMATCH_URL", help="The service.")] = "http://127.0.0.1:8000",
    *,
    as_json: AsJson = False,
) -> None:
    """Send a file of pings. Send it again whenever in doubt: what is stored already is found so.

    Exit 0 if every row was stored or known, 3 if some were rejected.
    """
    from app.pings.load_progress import load_with_progress  # noqa: PLC0415 - no other command waits for httpx, rich

    total = load_with_progress(file, url, key)
    if as_json:
        typer.echo(json.dumps(total._asdict()))
    else:
        typer.echo(", ".join(f"{count:,} {name}" for name, count in total._asdict().items()))
    raise typer.Exit(_PARTIAL if total.rejected else 0)


@pings.command("retry")
def retry(
    organisation: Annotated[str | None, typer.Option(help="Only rows that this organisation sent.")] = None,
    code: Annotated[str | None, typer.Option(help="Only rows rejected with this code, such as in_future.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Send rejected rows through the checks again, and store those that are acceptable now.

    Exit 0 if every row was acceptable, 3 if some still are not.
    """
    settings = load_settings()
    with database_url(settings) as url:
        retried = asyncio.run(_retry(url, settings.ping_retention_days, organisation, code))
    if as_json:
        typer.echo(json.dumps(retried._asdict()))
    else:
        typer.echo(f"{retried.tried:,} tried, {retried.accepted:,} accepted")
    raise typer.Exit(_PARTIAL if retried.accepted < retried.tried else 0)


async def _retry(url: str, retention_days: int | None, organisation: str | None, code: str | None) -> "Retried":
    from app.pings.rejects import retry_rejects  # noqa: PLC0415 - no other command waits for numpy and pyarrow

    async with connect_pool(url) as pool:
        return await retry_rejects(pool, retention_days, organisation, code)
