"""The command line: `trailmatch COMMAND`. Each noun keeps its commands in its own `commands.py`.

Those modules import nothing heavy at the top, so that `trailmatch --help` and every command that needs no kernel
starts without numba, pandas or FastAPI.
"""

import sys

import typer

from app.access.commands import key
from app.database_commands import database
from app.delivery.commands import delivery, endpoint
from app.demo.commands import demo
from app.doctor.commands import doctor
from app.failure import Failure
from app.matching.commands import match
from app.matching.profile_commands import profile
from app.mqtt.commands import mqtt
from app.pings.commands import pings
from app.serve_command import serve
from app.trails.commands import trails
from app.worker_command import worker

cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
cli.add_typer(database, name="db")
cli.add_typer(delivery, name="delivery")
cli.add_typer(endpoint, name="endpoint")
cli.add_typer(key, name="key")
cli.add_typer(pings, name="pings")
cli.add_typer(profile, name="profile")
cli.add_typer(trails, name="trails")
cli.command("match")(match)
cli.command("serve")(serve)
cli.command("worker")(worker)
cli.command("demo")(demo)
cli.command("mqtt")(mqtt)
cli.command("doctor")(doctor)


@cli.callback()
def trailmatch() -> None:
    """Match the trails of GPS tags with reported crimes."""


def main() -> None:
    """Run the command line; exit 0 done, 1 failed, 2 wrong usage, 3 done in part."""
    try:
        cli()
    except Failure as failure:
        sys.exit(f"trailmatch: {failure}")
