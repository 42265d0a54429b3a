"""Which of several processes runs the server: the one that gets the owner's lock; the others attach."""

import os
import signal
import sys
import time
from pathlib import Path

from app.failure import Failure
from app.postgres.locks import note, try_lock
from app.postgres.pid_file import SOCKET, answers, read_pid_file, ready_socket_dir

_START_S = 600.0  # a recovery after a crash reads back up to max_wal_size
_STOP_S = 60.0
_POLL_S = 0.01
# A server that says it is ready and where nobody listens was killed.
_SILENT_S = 10.0


def attach_or_own(home: Path, owner: int) -> Path | None:
    """Take the owner's lock, and return None; or give where the server of the process that has it listens."""
    began = well = time.monotonic()
    while (now := time.monotonic()) < min(began + _START_S, well + _SILENT_S):
        if try_lock(owner):
            note(owner, os.getpid())
            return None
        # Its owner may just be making it, or be about to stop it; then the lock is free soon.
        socket_dir = ready_socket_dir(home)
        if socket_dir is None:
            well = now
        elif answers(socket_dir):
            return socket_dir
        time.sleep(_POLL_S)
    pid = (home / "postgres.owner").read_text().strip()
    log = home / "postgres.log"
    raise Failure(f"process {pid} runs PostgreSQL in {home}, but it does not answer; see {log}, and start it again")


def wait_until_gone(home: Path, lock: int) -> None:
    """Wait for the server of an owner that was killed, and ask it to stop: where there is no leash it does not know."""
    deadline = time.monotonic() + _STOP_S
    asked = False
    while not try_lock(lock):
        if time.monotonic() > deadline:
            raise Failure(f"a PostgreSQL whose owner is gone does not stop; see {home / 'postgres.log'}")
        if sys.platform != "linux" and not asked:
            asked = True
            os.kill(int(read_pid_file(home)[0]), signal.SIGINT)
        time.sleep(_POLL_S)


def clear_away(home: Path, lock: int) -> None:
    """Remove the pid files of our last server: its lock says it is gone, whatever bears its number now.

    That may be another process (in a new container with the old files), or its own remains that nobody has reaped;
    PostgreSQL could only refuse to start. A server that somebody started by hand has another number, and is left to
    PostgreSQL's own checks.
    """
    lines = read_pid_file(home)
    if lines and lines[0] == os.pread(lock, 20, 0).decode().strip():
        for name in ("postmaster.pid", f"{SOCKET}.lock"):
            (home / "postgres" / name).unlink(missing_ok=True)
