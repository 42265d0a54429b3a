"""`python -m benchmarks NAME …`: what the service is measured by."""

import sys

import typer

from app.failure import Failure
from app.kernel_cache import point_numba_at_cache

# Before anything imports numba: the services that are started here share the compiled kernels.
point_numba_at_cache()

from benchmarks.replay import replay  # noqa: E402 - see above

cli = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
cli.command("replay")(replay)


@cli.callback()
def benchmarks() -> None:
    """Measure TrailMatch, equal answers asserted first."""


if __name__ == "__main__":
    try:
        cli()
    except Failure as failure:
        sys.exit(f"benchmarks: {failure}")
