"""One delivery of pings: the acceptable ones, and the others as they will be kept."""

import hashlib
import json
import re
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.pings.body import Body, decompress
from app.pings.checks import FIELDS, TimeBounds, check
from app.pings.payload import Pings
from app.pings.problems import RowProblem
from app.pings.wire import Sent, decode

RAW_LIMIT: Final = 4_000  # characters of JSON


class Limits(NamedTuple):
    """How much one body may be."""

    decoded_bytes: int
    rows: int


class Reject(NamedTuple):
    """A row that is not acceptable: its first problem, and the row."""

    problem: RowProblem
    raw: str  # JSON that PostgreSQL can hold


class Delivery(NamedTuple):
    """What N rows brought."""

    pings: Pings  # (K,), the acceptable ones in their order; device_id is an index of `serials`
    rows: NDArray[np.int64]  # (K,), their places among the N
    serials: list[str]
    problems: list[RowProblem]  # by line
    rejects: list[Reject]  # (N - K)
    ignored: dict[str, int]  # fields that are none of a ping's, and how many rows have them
    content_sha256: bytes
    settled: tuple[int, ...] = ()  # ids of rejects, kept earlier, that are pings now

    def pings_digest(self) -> bytes:
        """A SHA-256 in which two deliveries of one sender agree if they hold the same pings. 0.03 µs a ping."""
        digest = hashlib.sha256(self.pings.tobytes())
        # No serial holds a control character.
        digest.update("\n".join(self.serials).encode())
        return digest.digest()


def read_delivery(body: Body, limits: Limits, bounds: TimeBounds) -> Delivery:
    """Decompress, decode and check a body: about 1 µs a ping as rows of JSON, 0.4 as Arrow.

    Raises UnknownMediaType, TooLarge, or BadBody if there are no rows to speak of.
    """
    sent = decode(decompress(body, limits.decoded_bytes), body.media_type, limits.rows)
    return check_delivery(sent, bounds, body.sha256())


def check_delivery(sent: Sent, bounds: TimeBounds, content_sha256: bytes) -> Delivery:
    """Check rows that are decoded already."""
    checked = check(sent.columns, bounds, sent.problems)
    first = {problem.line: problem for problem in reversed(checked.problems)}
    lines = sorted(first)
    # Nothing is asked for in vain: what JSON rows were is only known by decoding them once more.
    raw = sent.raw(line - 1 for line in lines) if lines else []
    rejects = [Reject(first[line], raw_json(row)) for line, row in zip(lines, raw, strict=True)]
    return Delivery(
        checked.pings, checked.rows, checked.serials, checked.problems, rejects, sent.ignored, content_sha256
    )


def raw_json(row: Any) -> str:  # noqa: ANN401 - whatever was sent
    """A row as JSON of at most RAW_LIMIT characters: all of it, or a ping's own fields, or its beginning as text."""
    text = _storable(row)
    if len(text) > RAW_LIMIT and isinstance(row, dict):
        text = _storable({name: row[name] for name in FIELDS if name in row})
    if len(text) > RAW_LIMIT:
        # Each sign may take six, once it is quoted again.
        text = json.dumps(text[: RAW_LIMIT // 6])
    return text


# An escaped NUL, which jsonb refuses; not the end of an escaped backslash.
_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def _storable(row: Any) -> str:  # noqa: ANN401
    try:
        text = msgspec.json.encode(row, enc_hook=str).decode()
    except OverflowError:  # a whole number of more than 64 bits
        text = json.dumps(row, ensure_ascii=False, default=str)
    return _NUL.sub(r"\1\\ufffd", text)
