"""`trailmatch doctor`."""

import asyncio
import json
from typing import Annotated

import typer

from app.db import connect
from app.doctor.finding import Finding, State, ill
from app.doctor.machine import examine_machine
from app.failure import Failure
from app.postgres import database_url
from app.settings import Settings, load_settings

_COLOURS = {State.WELL: "green", State.DOUBTFUL: "yellow", State.ILL: "red"}


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Find and explain the common faults: of the machine, the database, and what passes through. Changes nothing.

    Exit 1 if anything is ill; what is merely doubtful is told and exits 0.
    """
    settings = load_settings()
    findings = examine(settings)
    worst = [finding for finding in findings if finding.state is State.ILL]
    if as_json:
        typer.echo(json.dumps({"ill": len(worst), "findings": [finding._asdict() for finding in findings]}))
    else:
        _print(findings)
    raise typer.Exit(1 if worst else 0)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what cannot be looked at without something that is missing is left out."""
    findings = examine_machine(settings)
    try:
        with database_url(settings) as url:
            findings += asyncio.run(_examine_on(url, settings))
    except Failure as failure:
        findings.append(ill("database", str(failure), "Check DATABASE_URL, and that the server runs and lets us in."))
    return findings


async def _examine_on(url: str, settings: Settings) -> list[Finding]:
    from app.doctor.database import examine_database  # noqa: PLC0415 - `--help` need not wait for it
    from app.doctor.flow import examine_flow  # noqa: PLC0415 - as above

    async with connect(url) as connection:
        findings = await examine_database(connection)
        if any(finding.about == "schema" and finding.state is State.ILL for finding in findings):
            return findings
        return findings + await examine_flow(connection, settings)


def _print(findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - no other command waits for it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        advice = f"\n→ {finding.advice}" if finding.advice else ""
        # As Text, for what was found may hold square brackets.
        table.add_row(Text(finding.state, _COLOURS[finding.state]), finding.about, Text(finding.found + advice))
    Console().print(table)
