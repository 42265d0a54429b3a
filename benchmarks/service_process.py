"""The service as a process of its own, with a database of its own, that can be killed and started again."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from app import leash
from app.db import connect
from app.failure import Failure
from app.matching.profiles import publish_profile
from app.migrate import migrate
from app.postgres import running_postgres
from benchmarks.parties import Keys, found_parties
from matcher.profile import Profile

_HOST = "127.0.0.1"
_READY_S = 120.0
_STOP_S = 60.0
_POLL_S = 0.1


@contextlib.contextmanager
def own_state_dir() -> Iterator[Path]:
    """Give an empty directory for a service's database; it is removed after the block."""
    # Its path is short enough for PostgreSQL's socket, which pytest's directories are not.
    state_dir = Path(tempfile.mkdtemp(prefix="trailmatch-", dir="/tmp"))
    state_dir.chmod(0o755)  # where PostgreSQL has to run as another user, that one must get in
    try:
        yield state_dir
    finally:
        _wait_until_postgres_is_gone(state_dir)
        shutil.rmtree(state_dir)


def _wait_until_postgres_is_gone(state_dir: Path) -> None:
    """Wait for the server of a service that was killed: it is shutting down, and holds a lock as long as it lives."""
    with (state_dir / "postgres.server").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def prepare(state_dir: Path, *profiles: Profile) -> Keys:
    """Make the embedded database in an empty state directory: schema, profiles, a contractor and a force."""
    with running_postgres(state_dir) as server:
        return asyncio.run(prepare_database(server.url(), *profiles))


async def prepare_database(url: str, *profiles: Profile) -> Keys:
    """Do the same with a database that is running."""
    async with connect(url) as connection:
        await migrate(connection, report=lambda _: None)
        for profile in profiles:
            await publish_profile(connection, profile)
        return await found_parties(connection)


class Running:
    """A `trailmatch` command that runs with this state directory, and ends when we do."""

    def __init__(self, state_dir: Path, *command: str) -> None:
        self.log = state_dir / f"{command[0]}.log"
        environment = {name: text for name, text in os.environ.items() if name != "DATABASE_URL"}
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), "-", "-"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*leashed, sys.executable, "-m", "app", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment | {"TRAILMATCH_STATE_DIR": str(state_dir)},
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it as a power cut would, at whatever it is doing."""
        self.process.kill()
        self.process.wait()

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code; one that does not end within a minute is killed."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"the process did not stop within {_STOP_S:.0f} s; see {self.log}") from None

    def raise_if_ended(self) -> None:
        """Raise Failure, with the end of its log, if it does not run any more."""
        if self.process.poll() is not None:
            end = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
            raise Failure(f"the process has ended with exit code {self.process.returncode}:\n{end}")


class Service(Running):
    """`trailmatch serve` on 127.0.0.1."""

    def __init__(self, state_dir: Path, port: int, *options: str) -> None:
        super().__init__(state_dir, "serve", "--host", _HOST, "--port", str(port), *options)
        self.address = address_of(port)

    def wait_until_ready(self, key: str) -> None:
        """Return once it answers and its matcher is warm. Raises Failure if it ends, or is not ready in two minutes."""
        deadline = time.monotonic() + _READY_S
        with httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {key}"}, timeout=10.0) as client:
            while time.monotonic() < deadline:
                self.raise_if_ended()
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/health/readiness").status_code == httpx.codes.OK:
                        return
                time.sleep(_POLL_S)
        raise Failure(f"the service was not ready within {_READY_S:.0f} s; see {self.log}")


@contextlib.contextmanager
def serving(state_dir: Path, key: str) -> Iterator[Service]:
    """Serve for the block, on a free port."""
    service = Service(state_dir, free_port())
    try:
        service.wait_until_ready(key)
        yield service
    finally:
        service.stop()


def address_of(port: int) -> str:
    """Where a service on this port is."""
    return f"http://{_HOST}:{port}"


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
