"""The socket that the service listens on: whoever does not read what they asked for is given up after a while."""

import errno
import socket
from typing import Final

from app.failure import Failure

STUCK_S: Final = 60.0
_BACKLOG: Final = 2048


def listen(host: str, port: int, stuck_s: float = STUCK_S) -> socket.socket:
    """Listen; 0 takes a free port. Raises Failure, saying why it cannot be.

    A connection whose other side takes nothing for `stuck_s` is broken off by the system (Linux: TCP_USER_TIMEOUT), be
    it an alert stream or a long answer: until then what waits for it is the system's buffer for it, some MB at most,
    and one page of the answer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Failure(f"port {port} of {host} is taken by another program; choose one with --port") from None
        raise Failure(f"cannot listen on port {port} of {host}: {error.strerror}") from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections have it from the socket that accepts them.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stuck_s * 1000))
    return listening
