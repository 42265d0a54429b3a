"""A server of our own: started, ready, stopped."""

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from app.failure import Failure
from app.postgres.cluster import DATABASE, USER, cluster_version, make_cluster
from app.postgres.locks import note
from app.postgres.pid_file import PORT, SOCKET, ready_socket_dir
from app.postgres.programs import find_programs
from app.postgres.runner import Runner, find_runner

# A socket's address has 108 bytes on Linux and 104 on macOS, one of them the closing zero.
_SOCKET_PATH_BYTES = 103
# What both a PostgreSQL list of directories and a URL take without quoting.
_PLAIN_PATH = re.compile(r"[\w./+~-]+", re.ASCII)
_START_S = 600.0  # a recovery after a crash reads back up to max_wal_size
_STOP_S = 60.0
_POLL_S = 0.01

_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    # So much only while days of a country are loaded. With 2 GB there was a checkpoint every 20 s then, and after each
    # all pages that are touched are logged whole: compressing those took 17 % of both cores.
    "max_wal_size": "8GB",
    "wal_compression": "on",
    "synchronous_commit": "on",  # acknowledged means stored
    "jit": "off",  # statements here are short; compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_error_verbosity": "terse",  # the detail of an error quotes rows, and those are personal data
    "log_parameter_max_length": "0",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, reached by its unix socket."""

    socket_dir: Path
    log: Path
    started_at: int = 0  # where in the log
    process: "subprocess.Popen[bytes] | None" = None  # None: another process runs it

    def last_words(self) -> str:
        """Give the end of its log."""
        return _tail(self.log, self.started_at)

    def url(self, database: str = DATABASE) -> str:
        """Where asyncpg, psql and other libpq programs find this database."""
        return f"postgresql://{USER}@/{quote(database)}?host={quote(str(self.socket_dir), safe='')}&port={PORT}"


@contextlib.contextmanager
def own_server(home: Path, lock: int) -> Iterator[Server]:
    """A server of ours, with its cluster made if need be; `lock` is the open file that it inherits."""
    cluster = home / "postgres"
    programs = find_programs(cluster_version(cluster))
    runner = find_runner(programs, cluster, lock)
    if not cluster.exists():
        make_cluster(programs, runner, home)
    log_path = home / "postgres.log"
    log_path.touch(mode=0o600)
    with _socket_dir(home, runner) as socket_dir, log_path.open("ab") as log:
        started_at = log.tell()
        settings = {**_SETTINGS, "unix_socket_directories": str(socket_dir)}
        options = [f"--{name}={setting}" for name, setting in settings.items()]
        process = runner.start([str(programs / "postgres"), "-D", str(cluster), *options], output=log)
        note(lock, process.pid)
        try:
            _wait_until_ready(process, home, started_at)
            yield Server(socket_dir, log_path, started_at, process)
        finally:
            _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", home: Path, started_at: int) -> None:
    deadline = time.monotonic() + _START_S
    while ready_socket_dir(home, process.pid) is None:
        if process.poll() is not None:
            raise Failure(f"PostgreSQL did not start:\n{_tail(home / 'postgres.log', started_at)}")
        if time.monotonic() > deadline:
            raise Failure(f"PostgreSQL was not ready within {_START_S:.0f} s; see {home / 'postgres.log'}")
        time.sleep(_POLL_S)


def _tail(log: Path, since: int, lines: int = 10) -> str:
    with log.open("rb") as file:
        file.seek(since)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Shut down: sessions are broken off, everything is written; by force if that takes too long."""
    for kind, patience_s in ((signal.SIGINT, _STOP_S), (signal.SIGQUIT, 10.0), (signal.SIGKILL, None)):
        if process.poll() is None:
            process.send_signal(kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
            return


@contextlib.contextmanager
def _socket_dir(home: Path, runner: Runner) -> Iterator[Path]:
    """The directory of the socket: the cluster's own, or a short one in /tmp, remembered so that none piles up."""
    cluster = home / "postgres"
    if _PLAIN_PATH.fullmatch(str(cluster)) and len(f"{cluster}/{SOCKET}") <= _SOCKET_PATH_BYTES:
        yield cluster
        return
    note = home / "postgres.socket"
    if note.exists():  # left by an owner that was killed
        left = Path(note.read_text())
        if left.is_dir() and not left.is_symlink() and left.stat().st_uid == runner.files_uid:
            shutil.rmtree(left)
    # Not $TMPDIR: that can be long too, as it is on macOS.
    short = Path(tempfile.mkdtemp(prefix="trailmatch-", dir="/tmp"))
    note.write_text(str(short))
    runner.give(short)
    try:
        yield short
    finally:
        shutil.rmtree(short, ignore_errors=True)
        note.unlink()
