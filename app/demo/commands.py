"""`trailmatch demo`."""

from typing import Annotated

import typer

from app.settings import load_settings


def demo(
    *,
    seed: Annotated[int, typer.Option(min=0, help="The same seed invents the same town.")] = 1,
    wearers: Annotated[int, typer.Option(min=1, max=12_000, help="People on a tag.")] = 40,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days of their lives, up to now.")] = 3,
    crimes: Annotated[int, typer.Option(min=0, max=10_000, help="Reported crimes; a third is by wearers.")] = 60,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to serve; 0 takes a free port.")] = 8000,
    once: Annotated[bool, typer.Option("--once", help="End after the result instead of serving on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Invent a town with wearers and crimes of known truth, play it through the API, and print what was matched.

    Uses a database of its own, made anew: `demo` on the embedded server, or that of DATABASE_URL if it is empty or an
    earlier demo's. Exit 3: it ran, but a ping was refused or the matcher did not finish.
    """
    # Imported here: it needs numpy, pyarrow and httpx, and no other command should wait for them.
    from app.demo.show import Wanted, show  # noqa: PLC0415

    wanted = Wanted(seed, wearers, days, crimes, port, once, as_json)
    raise typer.Exit(show(load_settings(), wanted))
