"""Senders that cost next to nothing, so that a machine that runs everything has its time for the service.

Each is a thread with one connection that it keeps, and speaks as much HTTP as its questions and their answers need.
"""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

from app.failure import Failure
from benchmarks.deliveries import Sent
from benchmarks.patient_client import LATER
from benchmarks.written import Written

_PAUSE_S: Final = 0.1
_PATIENCE_S: Final = 300.0
_ANSWER_S: Final = 120.0
_PIECE_BYTES: Final = 1 << 16


class Target(NamedTuple):
    """Where pings are sent, and with whose key."""

    address: str
    key: str


def send_written(
    target: Target, bodies: Written, order: Iterator[int], senders: int, tell: Callable[[int], None]
) -> Sent:
    """Send these bodies, by number, until there is none left; several at a time.

    `tell` hears of the pings of each once they are acknowledged, in the sender's thread, one at a time. A body that was
    not acknowledged is sent again, for five minutes. Raises Failure if one is refused or a ping of it rejected.
    """
    turn = threading.Lock()
    sent = Sent(0, 0)

    def next_body() -> int | None:
        with turn:
            return next(order, None)

    def send_from() -> None:
        nonlocal sent
        with _Sender(target, bodies.media_type) as sender:
            while (number := next_body()) is not None:
                receipt = sender.send(bodies.body(number))
                with turn:
                    sent = Sent(sent.accepted + receipt.accepted, sent.duplicates + receipt.duplicates)
                    tell(bodies.pings[number])

    with ThreadPoolExecutor(senders, "sender") as pool:
        for done in [pool.submit(send_from) for _ in range(senders)]:
            done.result()
    return sent


# What of an answer's head is read: the status and how long the body is, which this service always says.
_HEAD: Final = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n", re.DOTALL | re.IGNORECASE)


class _Sender:
    """One connection of a contractor, made anew whenever it is cut."""

    def __init__(self, target: Target, media_type: str) -> None:
        where = urlsplit(target.address)
        self._where = where.hostname or "", where.port or 80
        self._connection: socket.socket | None = None
        self._head = (
            f"POST /v1/pings HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {target.key}\r\n"
            f"Content-Type: {media_type}\r\nContent-Length: %d\r\n\r\n"
        ).encode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cut()

    def send(self, body: memoryview) -> Sent:
        """Post a body until it is acknowledged. Raises Failure if it is not taken as it is."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            status, said = self._post(body)
            if status == HTTPStatus.OK:
                return _taken(said)
            if status not in LATER or time.monotonic() > deadline_s:
                raise Failure(f"POST /v1/pings: {status} {said.decode(errors='replace')}")
            time.sleep(_PAUSE_S)

    def _post(self, body: memoryview) -> tuple[int, bytes]:
        """Post once; a connection that is cut is as an answer that asks to come again."""
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._where, _ANSWER_S)
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.sendall(self._head % body.nbytes)
            self._connection.sendall(body)
            return _read_answer(self._connection)
        except OSError as error:
            self._cut()
            return HTTPStatus.SERVICE_UNAVAILABLE, repr(error).encode()

    def _cut(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """Read an answer: its status and its body. Raises OSError if it is not whole."""
    answer = b""
    while (head := _HEAD.match(answer)) is None or len(answer) < head.end() + int(head[2]):
        piece = connection.recv(_PIECE_BYTES)
        if not piece:
            raise ConnectionResetError("the service ended the connection")
        answer += piece
    return int(head[1]), answer[head.end() :]


def _taken(said: bytes) -> Sent:
    receipt = json.loads(said)
    if receipt["rejected"] or receipt["conflicts"]:
        raise Failure(f"pings were not taken as they are: {receipt}")
    return Sent(receipt["accepted"], receipt["duplicates"])
