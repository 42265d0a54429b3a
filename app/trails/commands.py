"""`trailmatch trails …`: pack closed hours now, or say how the stored trails stand."""

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.db import connect, connect_pool
from app.kernel_cache import point_numba_at_cache
from app.migrate import refuse_unless_migrated
from app.postgres import database_url
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from app.trails.keeping import KeepingRule
    from app.trails.sealing_progress import Done
    from app.trails.standing import Standing

trails = typer.Typer(no_args_is_help=True, help="Stored trails.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_PARTIAL = 3


@trails.command("seal")
def seal(
    *, drop: Annotated[bool, typer.Option(help="Then drop old days' rows.")] = True, as_json: AsJson = False
) -> None:
    """Pack every closed hour, then drop the rows of old days. The service does it by itself, a little each minute.

    Exit 0 if all is packed, 3 if a day was in use and is left for another time.
    """
    settings = load_settings()
    # Before the kernels are imported, so that they are compiled once and not by every command.
    point_numba_at_cache()
    with database_url(settings) as url:
        done = asyncio.run(_seal(url, settings, drop=drop))
    if as_json:
        typer.echo(json.dumps(done._asdict()))
    else:
        typer.echo(f"{done.hours:,} hours sealed, {done.pings:,} pings; {done.dropped_days:,} days dropped")
    raise typer.Exit(0 if done.is_complete else _PARTIAL)


@trails.command("status")
def status(*, as_json: AsJson = False) -> None:
    """Say what is sealed, what waits to be, and what has been dropped."""
    settings = load_settings()
    with database_url(settings) as url:
        standing = asyncio.run(_read(url, settings))
    if as_json:
        typer.echo(json.dumps(standing._asdict()))
    else:
        typer.echo("\n".join(f"{name.replace('_', ' '):<14}{count:>18,}" for name, count in standing._asdict().items()))


async def _seal(url: str, settings: Settings, *, drop: bool) -> "Done":
    from app.trails.sealing_progress import seal_with_progress  # noqa: PLC0415 - no other command waits for numba

    async with connect_pool(url) as pool:
        async with pool.acquire() as connection:
            await refuse_unless_migrated(connection)
        return await seal_with_progress(pool, _rule(settings), drop=drop)


async def _read(url: str, settings: Settings) -> "Standing":
    from app.trails.standing import read_standing  # noqa: PLC0415 - as the others, where it is used

    async with connect(url) as connection:
        await refuse_unless_migrated(connection)
        return await read_standing(connection, _rule(settings).closed_before(datetime.now(UTC)))


def _rule(settings: Settings) -> "KeepingRule":
    from app.trails.keeping import keeping_rule  # noqa: PLC0415 - imports numba

    return keeping_rule(settings)
