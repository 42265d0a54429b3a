"""A request's body, read and decompressed within limits."""

import asyncio
import hashlib
from typing import Final, NamedTuple

import pyarrow as pa
from fastapi import Request

from app.errors import BadBody, TooLarge, TooSlow, UnknownMediaType

_CODECS: Final = {"gzip": "gzip", "zstd": "zstd"}
_PIECE_BYTES: Final = 1 << 20


class Body(NamedTuple):
    """A body as it came."""

    content: bytes
    encoding: str  # of Content-Encoding
    media_type: str

    def sha256(self) -> bytes:
        """Of the content as it came: equal deliveries have equal hashes."""
        return hashlib.sha256(self.content).digest()


async def read_body(request: Request, limit_bytes: int, limit_s: float) -> Body:
    """Read the body, JSON if it does not say what it is. Raises TooLarge, TooSlow or UnknownMediaType."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", *_CODECS}:
        raise UnknownMediaType(f"A body is compressed with {' or '.join(_CODECS)}, or not at all; this is {encoding}.")
    if int(request.headers.get("content-length", 0)) > limit_bytes:
        raise _too_large(limit_bytes)
    content = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            async for piece in request.stream():
                content += piece
                if len(content) > limit_bytes:
                    raise _too_large(limit_bytes)
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {limit_s:g} s; nothing was stored. Send it again.") from None
    return Body(bytes(content), encoding, media_type)


def decompress(body: Body, limit_bytes: int) -> bytes:
    """The content without its encoding; stops as soon as it exceeds the limit. Raises TooLarge or BadBody."""
    if body.encoding == "identity":
        return body.content
    plain = bytearray()
    try:
        with pa.CompressedInputStream(pa.BufferReader(body.content), _CODECS[body.encoding]) as stream:
            while piece := stream.read(_PIECE_BYTES):
                plain += piece
                if len(plain) > limit_bytes:
                    raise TooLarge(f"The body is over {limit_bytes:,} bytes once decompressed; send less at once.")
    except (pa.ArrowException, OSError):
        raise BadBody(f"The body is not whole, or not {body.encoding}.") from None
    return bytes(plain)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body is over {limit_bytes:,} bytes; send less at once.")
