"""The ETag of an alert: its revision, and how often people have touched it."""

import re

_ETAG = re.compile(r'\s*"(\d{1,9})-(\d{1,9})"\s*', re.ASCII)


def etag_of(revision: int, touches: int) -> str:
    """Give the ETag."""
    return f'"{revision}-{touches}"'


def read_etag(text: str) -> tuple[int, int] | None:
    """Give revision and touches of an ETag; None if it is none of an alert."""
    found = _ETAG.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None
