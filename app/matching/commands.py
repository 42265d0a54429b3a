"""`trailmatch match`: join a file of pings with a file of incidents."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from app.matching.file_columns import BadRow
    from app.matching.file_evidence import Weighed
    from app.matching.files import Pairs, Question
    from matcher.profile import Profile

_PARTIAL = 3
_LISTED = 20


def match(
    context: typer.Context,
    pings: Annotated[
        str,
        typer.Argument(
            help="Parquet or CSV: device_id, fixed_at or ts, lon, lat; for the evidence accuracy_m and source, too. "
            "- is stdin."
        ),
    ],
    incidents: Annotated[
        str,
        typer.Argument(
            help="Parquet or CSV: incident_ref, ts or from and to, lon, lat; for the evidence offence, too. - is stdin."
        ),
    ],
    radius_m: Annotated[float, typer.Option(min=0, max=100_000, help="How near, in metres.")] = 100,
    pad_s: Annotated[float, typer.Option(min=0, max=10**9, help="Seconds before and after, too.")] = 600,
    max_gap_s: Annotated[float, typer.Option(min=0, help="Longest time between two pings joined by a line.")] = 300,
    max_speed_mps: Annotated[float, typer.Option(min=0, help="Highest speed along such a line.")] = 60,
    out: Annotated[Path | None, typer.Option(help="Write the pairs: .parquet, .csv or .csv.gz.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; as many as CPUs if not given.")] = None,
    profile: Annotated[
        str, typer.Option(help="By which settings the evidence is weighed: standard, radius-100m, moj-compatible.")
    ] = "standard",
    moved: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Count alerts by chance: weigh each incident on so many other days."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws those days.")] = 1,
    *,
    evidence: Annotated[bool, typer.Option("--evidence", help="Weigh what each pair is worth.")] = False,
    points_only: Annotated[bool, typer.Option("--points-only", help="Leave out the lines between pings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find which devices were near which incidents while they happened. Needs no database.

    A ping counts within the radius and from `from` less the padding to `to` plus the padding, all ends included.
    With --evidence each pair is weighed by a profile, which has its own radius, padding, gap and speed: verdict,
    probabilities, likelihood ratio and sentences. Each device is taken for one wearer who had it on all the time, and
    the comparable days before are those that the file holds. With --moved no match is given, but how many alerts a day
    a service must expect by chance: the same crimes on other days of the same trails. Exit 0 if every row was used, 3
    if some were left out.
    """
    if out and not out.name.endswith((".parquet", ".csv", ".csv.gz")):
        raise typer.BadParameter(f"{out}: pairs are written to .parquet, .csv or .csv.gz", param_hint="--out")
    if out and not out.parent.is_dir():
        raise typer.BadParameter(f"{out.parent} is no directory", param_hint="--out")
    if pings == incidents == "-":
        raise typer.BadParameter("only one of the two can be stdin", param_hint="PINGS, INCIDENTS")
    if out and moved:
        raise typer.BadParameter("crimes that are moved make no matches to write", param_hint="--out")
    _refuse_what_does_not_fit(context, evidence=evidence)
    from app.kernel_cache import point_numba_at_cache  # noqa: PLC0415 - as below

    point_numba_at_cache()
    if moved:
        bad_rows = _print_by_chance(
            pings, incidents, profile, moved, seed, threads or os.cpu_count() or 1, as_json=as_json
        )
    elif evidence:
        bad_rows = _print_evidence(pings, incidents, profile, threads or os.cpu_count() or 1, out, as_json=as_json)
    else:
        question = _question(radius_m, pad_s, max_gap_s, max_speed_mps, threads, points_only=points_only)
        bad_rows = _print_pairs(pings, incidents, question, out, as_json=as_json)
    for bad in bad_rows[:_LISTED]:
        typer.echo(f"{bad.file}, row {bad.row}: {bad.message}", err=True)
    if len(bad_rows) > _LISTED:
        typer.echo(f"and {len(bad_rows) - _LISTED:,} more rows left out", err=True)
    raise typer.Exit(_PARTIAL if bad_rows else 0)


_OF_PAIRS = {"radius_m", "pad_s", "max_gap_s", "max_speed_mps", "points_only"}
_OF_EVIDENCE = {"profile", "moved", "seed"}


def _refuse_what_does_not_fit(context: typer.Context, *, evidence: bool) -> None:
    """Refuse an option that would have no effect, rather than leave its user in the belief that it had."""
    for name in sorted(_OF_PAIRS if evidence else _OF_EVIDENCE):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            why = "the profile says it where evidence is weighed" if evidence else "it goes with --evidence"
            raise typer.BadParameter(why, param_hint=f"--{name.replace('_', '-')}")


def _question(
    radius_m: float, pad_s: float, max_gap_s: float, max_speed_mps: float, threads: int | None, *, points_only: bool
) -> "Question":
    from app.matching.files import Question  # noqa: PLC0415 - no other command waits for pyarrow and numba
    from matcher.join import MAX_LINE_M, Between  # noqa: PLC0415 - as above

    if not points_only and max_gap_s * max_speed_mps > MAX_LINE_M:
        raise typer.BadParameter(
            f"together they allow lines of more than {MAX_LINE_M:,.0f} m, which are not straight on the Earth",
            param_hint="--max-gap-s, --max-speed-mps",
        )
    between = None if points_only else Between(max_gap_s, max_speed_mps)
    return Question(radius_m, pad_s, between, threads or os.cpu_count() or 1)


def _print_pairs(
    pings: str, incidents: str, question: "Question", out: Path | None, *, as_json: bool
) -> list["BadRow"]:
    from rich.console import Console  # noqa: PLC0415 - no other command waits for rich

    from app.matching.files import match_files  # noqa: PLC0415 - as above

    with Console(stderr=True).status("starting") as status:
        pairs = match_files(pings, incidents, question, out, status.update)
    typer.echo(json.dumps(_as_object(pairs)) if as_json else _as_text(pairs))
    return pairs.bad_rows


def _print_evidence(
    pings: str, incidents: str, profile: str, threads: int, out: Path | None, *, as_json: bool
) -> list["BadRow"]:
    from rich.console import Console  # noqa: PLC0415 - no other command waits for rich

    from app.matching.file_evidence import weigh_files  # noqa: PLC0415 - as above

    by = _built_in(profile)
    with Console(stderr=True).status("starting") as status:
        weighed = weigh_files(pings, incidents, by, threads, out, status.update)
    if as_json:
        told = weighed._asdict() | {"profile": profile, "sha256": by.sha256().hex()}
        typer.echo(json.dumps(_with_errors(told, weighed.bad_rows)))
    else:
        typer.echo(_weighed_as_text(weighed))
    _warn_of_unknown_width(weighed.pings_of_unknown_width, weighed.pings, by)
    return weighed.bad_rows


def _print_by_chance(
    pings: str, incidents: str, profile: str, times: int, seed: int, threads: int, *, as_json: bool
) -> list["BadRow"]:
    from rich.console import Console  # noqa: PLC0415 - no other command waits for rich

    from app.matching.by_chance import count_by_chance  # noqa: PLC0415 - as above

    by = _built_in(profile)
    with Console(stderr=True).status("starting") as status:
        counted = count_by_chance(pings, incidents, by, times, seed, threads, status.update)
    if as_json:
        told = counted._asdict() | {"profile": profile, "sha256": by.sha256().hex(), "seed": seed}
        typer.echo(json.dumps(_with_errors(told, counted.bad_rows)))
    else:
        typer.echo(
            f"{counted.moved:,} times a crime was moved to another day: {counted.alerts:,} alerts, of them "
            f"{counted.alerts_with_too_little_history:,} with too little history. At {counted.incidents_a_day:g} "
            f"crimes a day that is {counted.alerts_a_day:g} alerts a day by chance; {counted.unmovable:,} incidents "
            f"fit no other day; {counted.seconds:.1f} s"
        )
    _warn_of_unknown_width(counted.pings_of_unknown_width, counted.pings, by)
    return counted.bad_rows


def _warn_of_unknown_width(count: int, pings: int, profile: "Profile") -> None:
    from matcher.profile import RADIUS, SOURCES  # noqa: PLC0415 - no other command waits for numpy

    if count and profile.rule != RADIUS:
        sources = ", ".join(source for source in SOURCES if source != "unknown")
        typer.echo(
            f"{count:,} of {pings:,} pings state neither accuracy_m nor source: each is taken to be true to "
            f"{profile.accuracy.unknown_r95_m['unknown']:g} m, 95 times in 100, and shows presence hardly ever. Add a "
            f"column accuracy_m, in metres, or source ({sources}).",
            err=True,
        )


def _built_in(name: str) -> "Profile":
    from matcher.profile import BUILT_IN  # noqa: PLC0415 - no other command waits for numpy

    known = {built_in.name: built_in for built_in in BUILT_IN}
    if name not in known:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="--profile")
    return known[name]


def _as_object(pairs: "Pairs") -> dict[str, Any]:
    return _with_errors(pairs._asdict(), pairs.bad_rows)


def _with_errors(told: dict[str, Any], bad_rows: list["BadRow"]) -> dict[str, Any]:
    return told | {"bad_rows": len(bad_rows), "errors": [bad._asdict() for bad in bad_rows]}


def _as_text(pairs: "Pairs") -> str:
    return (
        f"{pairs.pings:,} pings, {pairs.incidents:,} incidents: "
        f"{pairs.pairs:,} pairs, {pairs.pings_inside:,} pings inside, {pairs.seconds:.1f} s"
    )


def _weighed_as_text(weighed: "Weighed") -> str:
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in weighed.verdicts.items()) or "no match"
    numbers = (
        f"{weighed.pings:,} pings, {weighed.incidents:,} incidents, {weighed.candidates:,} candidates: {verdicts}; "
        f"{weighed.alerted:,} alerted, {weighed.seconds:.1f} s"
    )
    lines = [numbers]
    lines += [f"{one['incident_ref']} {one['device_id']}: {one['finding']}" for one in weighed.matches[:_LISTED]]
    if len(weighed.matches) > _LISTED:
        lines.append(f"and {len(weighed.matches) - _LISTED:,} more: --out writes them, --json prints them")
    return "\n".join(lines)
