"""Receivers of webhooks over real sockets, that behave as badly as a test asks."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

CERTIFICATE = Path(__file__).with_name("receiver.pem")


class Request(NamedTuple):
    """What a receiver got."""

    head: str
    headers: dict[str, str]  # names in small letters
    body: bytes

    @property
    def event(self) -> Any:  # noqa: ANN401 - what JSON holds
        return msgspec.json.decode(self.body)


Behave = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Receiver:
    """A server that keeps what it gets and answers as `behave` says; closed, nobody listens at its port."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.has_come = asyncio.Event()
        self.behave: Behave = answer(204)
        self.port = 0
        self.open = 0  # connections
        self.most_open = 0
        self._server: asyncio.Server | None = None
        self._tls: ssl.SSLContext | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls or self._tls
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def url(self, host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/hook?a=b"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            # A client that has what it wants goes away, whatever is still to come.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                request = await _read(reader)
                self.requests.append(request)
                self.has_come.set()
                await self.behave(request, writer)
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Request(head, headers, await reader.readexactly(int(headers["content-length"])))


def answer(status: int, headers: str = "", body: bytes = b"") -> Behave:
    """Answer as a server should."""

    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return behave


async def hang(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the client goes away."""
    async with asyncio.timeout(60):
        while not writer.transport.is_closing():  # noqa: ASYNC110 - its event is the reader's
            await asyncio.sleep(0.02)


async def drop(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Break the connection off."""
    assert isinstance(writer.transport, asyncio.Transport)
    writer.transport.abort()


async def babble(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer in no protocol."""
    writer.write(b"I am a teapot\r\n\r\n")
    await writer.drain()


async def drip(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with a head that never ends, a sign at a time, so that each read gets something."""
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(500):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Acknowledge, with a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


@contextlib.asynccontextmanager
async def receiving(behave: Behave | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Receive for the block."""
    receiver = Receiver()
    if behave is not None:
        receiver.behave = behave
    await receiver.start(tls)
    try:
        yield receiver
    finally:
        await receiver.stop()


def server_tls() -> ssl.SSLContext:
    """For a receiver called receiver.test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
