"""`trailmatch serve`."""

import asyncio
import contextlib
import signal
import socket
import sys
from typing import Annotated

import typer

from app.allocator import give_memory_back
from app.failure import Failure
from app.kernel_cache import point_numba_at_cache
from app.listening import listen
from app.logs import write_logs
from app.matching.profiles import find_newest, list_names, publish_built_in
from app.postgres import database_url
from app.prepared import connect_prepared
from app.settings import Settings, load_settings

_GRACE_S = 5  # for answers that are being written; open alert streams are broken off


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8000,
    *,
    no_matcher: Annotated[bool, typer.Option("--no-matcher", help="Leave matching to `trailmatch worker`.")] = False,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C.

    Without DATABASE_URL on an embedded PostgreSQL, whose schema is brought up to date; a server's is left alone.
    """
    give_memory_back()
    settings = load_settings()
    if no_matcher:
        settings = settings.model_copy(update={"matcher": False})
    # Ends this command by way of its `with` blocks, so that the embedded server is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), listen(host, port) as listening:
        # Before the kernels are imported.
        point_numba_at_cache()
        with database_url(settings) as url:
            asyncio.run(_prepare(url, settings))
            _say_where(listening, host)
            _serve(listening, url, settings)


async def _prepare(url: str, settings: Settings) -> None:
    """See that the database can be served from. Raises Failure, with what to do, if it cannot."""
    async with connect_prepared(url, settings, _say) as connection:
        await publish_built_in(connection)
        if settings.default_profile not in await find_newest(connection, [settings.default_profile]):
            known = ", ".join(await list_names(connection))
            raise Failure(f"TRAILMATCH_DEFAULT_PROFILE: no profile {settings.default_profile!r}; known: {known}")


def _serve(listening: socket.socket, url: str, settings: Settings) -> None:
    # Kernels and web framework are imported here, so that no other command waits for them.
    import uvicorn  # noqa: PLC0415 - as said above

    from app.main import create_app  # noqa: PLC0415 - as said above

    write_logs()
    config = uvicorn.Config(
        create_app(settings, url),
        log_config=None,
        access_log=False,  # its lines hold whole addresses; app.requests logs each request without
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    if not server.started:
        raise Failure("the service did not start; the log above says why")


def _say_where(listening: socket.socket, host: str) -> None:
    port = listening.getsockname()[1]
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - read
    _say(f"TrailMatch   http://{reached}:{port}")
    _say(f"API          http://{reached}:{port}/docs (name: any, password: a key)")
    _say("make a key   trailmatch key create --organisation CODE --kind KIND --scope SCOPE …")


def _say(line: str) -> None:
    typer.echo(line, err=True)
