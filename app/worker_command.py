"""`trailmatch worker`."""

import asyncio

from app.kernel_cache import point_numba_at_cache
from app.logs import write_logs
from app.postgres import database_url
from app.settings import load_settings


def worker() -> None:
    """Match in a process of its own until SIGTERM or Ctrl-C; start as many as there is work for.

    For a service that runs with `serve --no-matcher`, or to help one that matches itself.
    """
    settings = load_settings()
    # Before the kernels are imported, so that they are compiled once and not by every worker.
    point_numba_at_cache()
    from app.trails.keeping import keeping_rule  # noqa: PLC0415 - as below
    from app.worker import work  # noqa: PLC0415 - imports numba, and no other command should wait for it

    write_logs()
    with database_url(settings) as url:
        asyncio.run(work(url, keeping_rule(settings)))
