"""`trailmatch` commands as processes of their own, that end when we do: for the demo, benchmarks and tests."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

from app.failure import Failure
from app.leashed import start_leashed

HOST = "127.0.0.1"
_READY_S = 600.0  # the first start compiles the kernels, half a minute of work; a busy machine takes its time
_POLL_S = 0.2  # each look takes the service some milliseconds, which compiling needs more


class Running:
    """A `trailmatch` command that runs with this state directory; what it says goes to a file there.

    Without an address its database is the embedded one of the state directory.
    """

    def __init__(self, state_dir: Path, *command: str, database_url: str = "") -> None:
        self.log = state_dir / f"{command[0]}.log"
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self.process = start_leashed(
                [sys.executable, "-m", "app", *command],
                output=log,
                env={**os.environ, "TRAILMATCH_STATE_DIR": str(state_dir), "DATABASE_URL": database_url},
            )

    def wait(self) -> None:
        """Wait until it ends by itself. Raises Failure, with the end of its log."""
        self.process.wait()
        self.raise_if_ended()

    def raise_if_ended(self) -> None:
        """Raise Failure, with the end of its log, if it does not run any more."""
        if self.process.poll() is not None:
            raise Failure(f"the process has ended with exit code {self.process.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        """Give the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])

    def kill(self) -> None:
        """End it as a power cut would, at whatever it is doing."""
        self.process.kill()
        self.process.wait()

    def stop(self, patience_s: float = 60.0) -> int:
        """Ask it to end, and kill it if it does not; gives its exit code.

        One that compiles kernels at the moment does not end before it has done that.
        """
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait()


class Service(Running):
    """`trailmatch serve` on 127.0.0.1."""

    def __init__(self, state_dir: Path, port: int, *options: str, database_url: str = "") -> None:
        super().__init__(state_dir, "serve", "--host", HOST, "--port", str(port), *options, database_url=database_url)
        self.address = f"http://{HOST}:{port}"

    def wait_until_ready(self, key: str) -> None:
        """Return once it answers and its matcher is warm. Raises Failure if it ends, or is not ready in ten minutes."""
        deadline = time.monotonic() + _READY_S
        with httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {key}"}, timeout=10.0) as client:
            while time.monotonic() < deadline:
                self.raise_if_ended()
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/health/readiness").status_code == httpx.codes.OK:
                        return
                time.sleep(_POLL_S)
        raise Failure(f"the service was not ready within {_READY_S:.0f} s; see {self.log}")
