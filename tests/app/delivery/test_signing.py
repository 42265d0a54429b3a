"""Secrets and signatures, against the public library of Standard Webhooks."""

import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.delivery.signing import make_secret, secret_of, signed_headers, signing_key_of
from app.settings import Settings

KEY = b"the signing key of the settings."


def test_the_public_library_verifies_what_is_signed_with_either_secret_and_no_other() -> None:
    first, second, other = (make_secret(KEY) for _ in range(3))
    keys = [secret_of(KEY, made.nonce, made.sha256) for made in (first, second)]
    body = '{"text":"naïve"}'.encode()
    headers = signed_headers([key for key in keys if key], uuid4(), datetime.now(UTC), body)
    for made in (first, second):
        assert Webhook(made.text).verify(body, headers) == {"text": "naïve"}
    with pytest.raises(WebhookVerificationError):
        Webhook(other.text).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first.text).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first.text).verify(body, headers | {"webhook-id": "msg_another"})


def test_a_secret_is_computed_again_with_its_key_only() -> None:
    made = make_secret(KEY)
    assert secret_of(b"another key", made.nonce, made.sha256) is None
    assert secret_of(None, made.nonce, made.sha256) is None
    assert make_secret(KEY).text != made.text
    assert made.text.startswith("whsec_")


def test_the_key_comes_from_the_settings_or_lies_beside_the_embedded_database(tmp_path: Path) -> None:
    text = "x" * 32
    assert signing_key_of(Settings(signing_key=text, state_dir=tmp_path)) == text.encode()
    assert not list(tmp_path.iterdir())
    made = signing_key_of(Settings(database_url=None, state_dir=tmp_path / "state"))
    assert made is not None
    assert len(made) == 64
    assert signing_key_of(Settings(database_url=None, state_dir=tmp_path / "state")) == made
    [kept] = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert signing_key_of(Settings(database_url="postgresql://somewhere", state_dir=tmp_path / "no")) is None


def test_no_secret_setting_is_shown() -> None:
    settings = Settings(signing_key="s" * 32, smtp_password="p" * 9)
    assert "ssss" not in repr(settings)
    assert "pppp" not in repr(settings)
