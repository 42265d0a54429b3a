"""`python -m benchmarks NAME …`: what the service is measured by."""

import sys

import typer

from app.failure import Failure
from benchmarks.evidence import evidence
from benchmarks.join import join
from benchmarks.replay import replay
from benchmarks.stream import stream
from benchmarks.table import table
from benchmarks.trailstore import trailstore

cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
cli.command("evidence")(evidence)
cli.command("join")(join)
cli.command("replay")(replay)
cli.command("stream")(stream)
cli.command("table")(table)
cli.command("trailstore")(trailstore)


@cli.callback()
def benchmarks() -> None:
    """Measure TrailMatch, equal answers asserted first."""


if __name__ == "__main__":
    try:
        cli()
    except Failure as failure:
        sys.exit(f"benchmarks: {failure}")
