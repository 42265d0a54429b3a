"""The service as a process of its own, that ends when the demo ends, however that ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from app import leash
from app.failure import Failure

_HOST = "127.0.0.1"
_READY_S = 120.0  # the first start compiles the kernels
_STOP_S = 15.0
_POLL_S = 0.05


class Child:
    """A running service: where it is, and whether it still is."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
        self._process, self.address, self._log = process, address, log

    def wait(self) -> None:
        """Wait until it ends by itself. Raises Failure, with the end of its log."""
        self._process.wait()
        self._raise_ended()

    def wait_until_ready(self, key: str) -> None:
        """Return once it answers and its matcher is warm. Raises Failure if it ends, or is not ready in two minutes."""
        deadline = time.monotonic() + _READY_S
        with httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {key}"}) as client:
            while time.monotonic() < deadline:
                if self._process.poll() is not None:
                    self._raise_ended()
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/health/readiness").status_code == httpx.codes.OK:
                        return
                time.sleep(_POLL_S)
        raise Failure(f"the service was not ready within {_READY_S:.0f} s; see {self._log}")

    def _raise_ended(self) -> None:
        end = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
        raise Failure(f"the service has ended with exit code {self._process.returncode}:\n{end}")


@contextlib.contextmanager
def running_service(database_url: str, port: int, state_dir: Path) -> Iterator[Child]:
    """Start `trailmatch serve` on 127.0.0.1 and stop it after the block; what it says goes to `demo.log`.

    Port 0 takes a free one. Raises Failure if the port is in use.
    """
    port = _free_port(port)
    state_dir.mkdir(parents=True, exist_ok=True)
    log_path = state_dir / "demo.log"
    log_path.touch(mode=0o600)
    with log_path.open("wb") as log:
        command = [sys.executable, "-m", "app", "serve", "--host", _HOST, "--port", str(port)]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), "-", "-", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "DATABASE_URL": database_url},
            start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the service when we are done
        )
        try:
            yield Child(process, f"http://{_HOST}:{port}", log_path)
        finally:
            _stop(process)


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        # What a server that just stopped leaves behind does not count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise Failure(f"port {port} cannot be used ({error.strerror}); give another one with --port") from None
        return int(probe.getsockname()[1])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
