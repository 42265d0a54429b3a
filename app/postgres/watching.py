"""An embedded server that ends by itself takes its owner along, which nothing could be done by without it."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator

from app.failure import Failure
from app.postgres.server import Server


@contextlib.contextmanager
def ending_with(server: Server) -> Iterator[None]:
    """Interrupt this process if a server of its own ends by itself, as Ctrl-C would; then raise Failure, which says so.

    Whoever keeps a service running starts it again, and with it the server, which recovers. One that somebody has shut
    down in order, and one of another process, are let be: the service waits for it to come back.
    """
    process = server.process
    if process is None:
        yield
        return
    leaving = threading.Event()
    threading.Thread(target=_interrupt_after, args=(process, leaving), daemon=True).start()
    try:
        yield
    finally:
        leaving.set()
        code = process.poll()
        if code:
            raise Failure(
                f"PostgreSQL has ended by itself ({_cause(code)}); what was acknowledged is kept: start this command "
                f"again. The end of its log:\n{server.last_words()}"
            )


def _interrupt_after(process: "subprocess.Popen[bytes]", leaving: threading.Event) -> None:
    if process.wait() != 0 and not leaving.is_set():
        os.kill(os.getpid(), signal.SIGINT)


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
