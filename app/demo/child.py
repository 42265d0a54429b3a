"""The demo's service: on the port that was asked for, as a process that ends when the demo ends."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from app.failure import Failure
from app.running import HOST, Service

# Who presses Ctrl-C wants to have the terminal back; nothing of the demo is kept that could be lost.
_PATIENCE_S = 10.0


def usable_port(port: int) -> int:
    """Give the port itself, or for 0 a free one. Raises Failure if it cannot be served on, or is in use."""
    with socket.socket() as probe:
        # What a server that just stopped leaves behind does not count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Failure(f"port {port} cannot be used ({error.strerror}); give another one with --port") from None
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_service(database_url: str, port: int, state_dir: Path) -> Iterator[Service]:
    """Start `trailmatch serve` on 127.0.0.1 and stop it after the block; what it says goes to `serve.log`."""
    state_dir.mkdir(parents=True, exist_ok=True)
    (state_dir / "serve.log").unlink(missing_ok=True)  # else every demo would add to it
    service = Service(state_dir, port, database_url=database_url)
    try:
        yield service
    finally:
        service.stop(_PATIENCE_S)
