"""Programs that tests run beside ours."""

import os
import shutil

import pytest


def find_program(name: str, package: str | None = None) -> str:
    """Give its path; without it the test is skipped, saying how to get it, and fails where CI is set."""
    # Daemons lie where an ordinary account does not look.
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin")
    if path is None:
        assert not os.environ.get("CI"), f"{name} is missing; `make test` installs it where it may"
        pytest.skip(f"{name} is missing: apt-get install {package or name}")
    return path
