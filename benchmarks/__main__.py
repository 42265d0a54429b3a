"""`python -m benchmarks NAME …`: what the service is measured by."""

import signal
import sys

import typer

from app.failure import Failure
from benchmarks.archive import archive
from benchmarks.arrival import arrival
from benchmarks.chaos.run import chaos
from benchmarks.degrade import degrade
from benchmarks.evidence import evidence
from benchmarks.ingest import ingest
from benchmarks.join import join
from benchmarks.latency import latency
from benchmarks.nation import nation
from benchmarks.overload import overload
from benchmarks.pooled import pooled
from benchmarks.replay import replay
from benchmarks.stream import stream
from benchmarks.table import table
from benchmarks.trailstore import trailstore

cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
cli.command("archive")(archive)
cli.command("chaos")(chaos)
cli.command("arrival")(arrival)
cli.command("degrade")(degrade)
cli.command("evidence")(evidence)
cli.command("ingest")(ingest)
cli.command("join")(join)
cli.command("latency")(latency)
cli.command("nation")(nation)
cli.command("overload")(overload)
cli.command("pooled")(pooled)
cli.command("replay")(replay)
cli.command("stream")(stream)
cli.command("table")(table)
cli.command("trailstore")(trailstore)


@cli.callback()
def benchmarks() -> None:
    """Measure TrailMatch, equal answers asserted first."""


def _end(*_: object) -> None:
    raise Failure("asked to end before the result")


if __name__ == "__main__":
    # By way of the `with` blocks: what was started is stopped, and its directories are removed.
    signal.signal(signal.SIGTERM, _end)
    try:
        cli()
    except Failure as failure:
        sys.exit(f"benchmarks: {failure}")
