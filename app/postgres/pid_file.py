"""What a running server says of itself in `postmaster.pid`."""

import socket
from pathlib import Path

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"


def ready_socket_dir(home: Path, pid: int | None = None) -> Path | None:
    """Where the server listens, if it (the one with this pid) says that it is ready."""
    lines = read_pid_file(home)
    if len(lines) < 8 or lines[7].strip() != "ready" or pid not in {None, int(lines[0])}:
        return None
    return Path(lines[4])


def answers(socket_dir: Path) -> bool:
    """Whether somebody listens on the socket in this directory."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(socket_dir / SOCKET))
        except OSError:
            return False
    return True


def read_pid_file(home: Path) -> list[str]:
    """Give its lines: process, data directory, start, port, socket directory, address, memory, status."""
    try:
        return (home / "postgres" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
