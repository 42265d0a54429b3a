"""As whom the server runs where we are root."""

import os
from pathlib import Path

import pytest

from app.postgres import running_postgres
from tests.app.postgres.holding import hold, run, servers_in, url_of, wait_until


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_as_root_where_unshare_is_forbidden_an_unprivileged_account_runs_it(empty_dir: Path) -> None:
    path = forbid_unshare(empty_dir)
    home = empty_dir / "state"
    owner = hold(home, PATH=path)
    url = url_of(owner)
    if not url:
        pytest.skip(f"an unprivileged account does not get at the programs here: {owner.communicate()[1]}")
    (server_process,) = servers_in(home)
    assert server_process.uids().real != 0
    assert run(url, "CREATE TABLE kept AS SELECT 7 AS n", "SELECT n FROM kept") == 7
    owner.kill()
    owner.wait()
    wait_until(lambda: not servers_in(home))
    # What was made for that account stays with it, also where unshare would work.
    with running_postgres(home) as server:
        assert run(server.url(), "SELECT n FROM kept") == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_as_root_nothing_outside_the_state_directory_changes(empty_dir: Path) -> None:
    home = empty_dir / "private" / "state"
    home.parent.mkdir(mode=0o700)
    with running_postgres(home) as server:
        assert run(server.url(), "SELECT 1") == 1
        assert home.parent.stat().st_mode & 0o777 == 0o700
        assert (home / "postgres").stat().st_uid == 0


def forbid_unshare(directory: Path) -> str:
    """A PATH on which `unshare` fails as it does in a container that forbids it."""
    stand_in = directory / "bin" / "unshare"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    return f"{stand_in.parent}:{os.environ['PATH']}"
