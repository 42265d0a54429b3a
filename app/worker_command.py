"""`trailmatch worker`."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from app.allocator import give_memory_back
from app.failure import Failure
from app.kernel_cache import point_numba_at_cache
from app.logs import write_logs
from app.postgres import database_url
from app.settings import load_settings


def worker(
    *,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Give this worker's metrics on 127.0.0.1, without a key.")
    ] = None,
    service_fd: Annotated[int | None, typer.Option(hidden=True, help="Where the service that starts us asks.")] = None,
) -> None:
    """Match, and deliver alerts, in a process of its own until SIGTERM or Ctrl-C; start as many as there is work for.

    For a service that runs with `serve --no-matcher`, or to help the one that a service has beside it.
    """
    # Until there is a loop that ends in order; it also ends this command by way of its `with` blocks.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    give_memory_back()
    settings = load_settings()
    # Before the kernels are imported, so that they are compiled once and not by every worker.
    point_numba_at_cache()
    from app.delivery.outside import outside_of  # noqa: PLC0415 - as below
    from app.trails.keeping import keeping_rule  # noqa: PLC0415 - as below
    from app.worker import work  # noqa: PLC0415 - imports numba, and no other command should wait for it

    write_logs()
    outside = outside_of(settings)
    with _giving_metrics(metrics_port), database_url(settings) as url:
        service = None if service_fd is None else socket.socket(fileno=service_fd)
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(work(url, keeping_rule(settings), outside, service))


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a loop of the kind that the service runs on."""
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


@contextlib.contextmanager
def _giving_metrics(port: int | None) -> Iterator[None]:
    """Answer Prometheus on this machine for the block; there is nothing personal in a metric."""
    if port is None:
        yield
        return
    from prometheus_client import start_http_server  # noqa: PLC0415 - most workers run without

    from app.metrics import OF_ALL  # noqa: PLC0415 - as above

    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=OF_ALL)
    except OSError as error:
        raise Failure(
            f"no metrics on port {port} of 127.0.0.1: {error.strerror}; choose another --metrics-port"
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
