"""Secrets of endpoints, and what is signed with them: the headers of Standard Webhooks.

A secret has to be at hand for signing, so it cannot be kept as a hash. It is not kept at all: it is computed from a
nonce in the database and the signing key, which is in the settings. Whoever has one of the two has no secret.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from app.failure import Failure
from app.settings import Settings

_PURPOSE = b"trailmatch endpoint secret 1\0"


class Secret(NamedTuple):
    """A new secret: what is stored of it, and how its owner gets it."""

    nonce: bytes
    sha256: bytes
    text: str


def signing_key_of(settings: Settings) -> bytes | None:
    """Give the key of the settings; with the embedded database one that is made once and lies beside it, else None."""
    if settings.signing_key is not None:
        return settings.signing_key.encode()
    if settings.database_url is not None:
        return None
    return _key_in(settings.state_dir / "signing.key")


def _key_in(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made aside and linked, so that of two processes which make it at once both use the same, and whole.
        made = path.with_name(f"{path.name}.{os.getpid()}")
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
        made.unlink()
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"the key that signs webhooks cannot be kept in {path}: {error}") from None


def make_secret(key: bytes) -> Secret:
    """Make a secret."""
    nonce = secrets.token_bytes(32)
    secret = _derive(key, nonce)
    return Secret(nonce, hashlib.sha256(secret).digest(), f"whsec_{base64.b64encode(secret).decode()}")


def secret_of(key: bytes | None, nonce: bytes, sha256: bytes) -> bytes | None:
    """Compute a secret again; None if this is not the key with which it was made."""
    if key is None:
        return None
    secret = _derive(key, nonce)
    return secret if hmac.compare_digest(hashlib.sha256(secret).digest(), sha256) else None


def signed_headers(keys: Sequence[bytes], event_id: UUID, now: datetime, body: bytes) -> dict[str, str]:
    """Give the headers that tell a receiver who sent a body and when; while a secret is replaced, signed with both.

    Standard Webhooks 1.0: HMAC-SHA256 over id, Unix time and body, with points between.
    """
    message_id, timestamp = f"msg_{event_id}", str(int(now.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _derive(key: bytes, nonce: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + nonce, "sha256")
