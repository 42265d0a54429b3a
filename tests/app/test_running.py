"""Commands as processes of our own: how they end."""

import signal
from pathlib import Path

import pytest

from app.failure import Failure
from app.running import Running


def test_one_that_ends_by_itself_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"ended with exit code 2:\n(.*\n)*.*nonsense"):
        Running(tmp_path, "nonsense").wait()


def test_one_that_does_not_end_when_it_is_asked_to_is_killed(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        # It inherits that, and is busy waiting for a database that never comes.
        deaf = Running(tmp_path, "worker", database_url="postgresql://127.0.0.1:1/none")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert deaf.stop(patience_s=0.1) == -signal.SIGKILL
