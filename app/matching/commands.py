"""`trailmatch match`: join a file of pings with a file of incidents."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from app.matching.files import Pairs

_PARTIAL = 3
_LISTED = 20


def match(
    pings: Annotated[str, typer.Argument(help="Parquet or CSV: device_id, fixed_at or ts, lon, lat. - is stdin.")],
    incidents: Annotated[
        str, typer.Argument(help="Parquet or CSV: incident_ref, ts or from and to, lon, lat. - is stdin.")
    ],
    radius_m: Annotated[float, typer.Option(min=0, max=100_000, help="How near, in metres.")] = 100,
    pad_s: Annotated[float, typer.Option(min=0, max=10**9, help="Seconds before and after, too.")] = 600,
    max_gap_s: Annotated[float, typer.Option(min=0, help="Longest time between two pings joined by a line.")] = 300,
    max_speed_mps: Annotated[float, typer.Option(min=0, help="Highest speed along such a line.")] = 60,
    out: Annotated[Path | None, typer.Option(help="Write the pairs: .parquet, .csv or .csv.gz.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; as many as CPUs if not given.")] = None,
    *,
    points_only: Annotated[bool, typer.Option("--points-only", help="Leave out the lines between pings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find which devices were near which incidents while they happened. Needs no database.

    A ping counts within the radius and from `from` less the padding to `to` plus the padding, all ends included.
    Exit 0 if every row was used, 3 if some were left out.
    """
    if out and not out.name.endswith((".parquet", ".csv", ".csv.gz")):
        raise typer.BadParameter(f"{out}: pairs are written to .parquet, .csv or .csv.gz", param_hint="--out")
    if out and not out.parent.is_dir():
        raise typer.BadParameter(f"{out.parent} is no directory", param_hint="--out")
    if pings == incidents == "-":
        raise typer.BadParameter("only one of the two can be stdin", param_hint="PINGS, INCIDENTS")
    from app.kernel_cache import point_numba_at_cache  # noqa: PLC0415 - as below

    point_numba_at_cache()
    from rich.console import Console  # noqa: PLC0415 - no other command waits for rich, pyarrow, numba

    from app.matching.files import Question, match_files  # noqa: PLC0415 - as above
    from matcher.join import MAX_LINE_M, Between  # noqa: PLC0415 - as above

    if not points_only and max_gap_s * max_speed_mps > MAX_LINE_M:
        raise typer.BadParameter(
            f"together they allow lines of more than {MAX_LINE_M:,.0f} m, which are not straight on the Earth",
            param_hint="--max-gap-s, --max-speed-mps",
        )
    between = None if points_only else Between(max_gap_s, max_speed_mps)
    question = Question(radius_m, pad_s, between, threads or os.cpu_count() or 1)
    console = Console(stderr=True)
    with console.status("starting") as status:
        pairs = match_files(pings, incidents, question, out, status.update)
    typer.echo(json.dumps(_as_object(pairs)) if as_json else _as_text(pairs))
    for bad in pairs.bad_rows[:_LISTED]:
        typer.echo(f"{bad.file}, row {bad.row}: {bad.message}", err=True)
    if len(pairs.bad_rows) > _LISTED:
        typer.echo(f"and {len(pairs.bad_rows) - _LISTED:,} more rows left out", err=True)
    raise typer.Exit(_PARTIAL if pairs.bad_rows else 0)


def _as_object(pairs: "Pairs") -> dict[str, Any]:
    return pairs._asdict() | {
        "bad_rows": len(pairs.bad_rows),
        "errors": [bad._asdict() for bad in pairs.bad_rows],
    }


def _as_text(pairs: "Pairs") -> str:
    return (
        f"{pairs.pings:,} pings, {pairs.incidents:,} incidents: "
        f"{pairs.pairs:,} pairs, {pairs.pings_inside:,} pings inside, {pairs.seconds:.1f} s"
    )
