"""A server is started, stopped and started again, wherever its files are."""

import os
import shutil
import signal
from pathlib import Path

import asyncpg
import pytest

from app.failure import Failure
from app.postgres import database_url, running_postgres
from app.settings import Settings
from tests.app.postgres.holding import hold, run, servers_in, url_of, wait_until


def test_the_server_lives_as_long_as_the_block_and_keeps_what_was_stored(empty_dir: Path) -> None:
    with running_postgres(empty_dir) as server:
        assert run(server.url(), "CREATE TABLE kept AS SELECT 7 AS n", "SELECT n FROM kept") == 7
        assert len(servers_in(empty_dir)) == 1
    assert servers_in(empty_dir) == []
    with running_postgres(empty_dir) as server:
        assert run(server.url(), "SELECT n FROM kept") == 7


def test_it_is_durable_speaks_utc_and_listens_on_no_port(state_dir: Path) -> None:
    with running_postgres(state_dir) as server:
        for setting, value in {
            "synchronous_commit": "on",
            "fsync": "on",
            "TimeZone": "UTC",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "log_error_verbosity": "terse",
        }.items():
            assert run(server.url(), f"SELECT current_setting('{setting}')") == value


def test_its_log_holds_no_row(state_dir: Path) -> None:
    with running_postgres(state_dir) as server, pytest.raises(asyncpg.UniqueViolationError):
        run(
            server.url(),
            "CREATE TABLE t (name text PRIMARY KEY)",
            "INSERT INTO t SELECT md5('secret') FROM (VALUES (1), (2))",
        )
    log = (state_dir / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "5ebe2294ecd0e0f08eab7690d2a6ee69" not in log  # md5('secret')


def test_a_start_that_fails_shows_the_end_of_the_log(state_dir: Path) -> None:
    (state_dir / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(Failure, match="no_such_setting"), running_postgres(state_dir):
        pass


@pytest.mark.parametrize("name", ["x" * 120, "with spaces, and 'signs'", "ß"])
def test_any_path_will_do_for_the_state_directory(empty_dir: Path, made_cluster: Path, name: str) -> None:
    home = empty_dir / name
    shutil.copytree(made_cluster, home / "postgres")
    owner = hold(home)
    url = url_of(owner)
    with running_postgres(home) as attached:
        assert run(attached.url(), "SELECT 1") == 1
    socket_dir = Path((home / "postgres.socket").read_text())
    assert socket_dir.stat().st_mode & 0o777 == 0o700
    owner.kill()
    owner.wait()
    with running_postgres(home) as server:
        assert not socket_dir.exists()  # none piles up
        assert run(server.url(), "SELECT 1") == 1
        assert server.url() != url
        socket_dir = server.socket_dir
    assert not socket_dir.exists()


def test_ctrl_c_in_the_terminal_stops_the_owner_first(state_dir: Path) -> None:
    owner = hold(state_dir)
    url_of(owner)
    (server_process,) = servers_in(state_dir)
    assert os.getpgid(server_process.pid) != os.getpgid(owner.pid)
    owner.send_signal(signal.SIGINT)
    owner.wait()
    assert servers_in(state_dir) == []
    assert not (state_dir / "postgres" / "postmaster.pid").exists()


def test_a_cluster_whose_making_was_cut_off_is_made_anew(empty_dir: Path) -> None:
    for _ in range(3):
        owner = hold(empty_dir)
        wait_until(lambda: [*empty_dir.glob("postgres.new-*/base"), *empty_dir.glob("postgres")])
        owner.kill()
        owner.wait()
        assert not (empty_dir / "postgres").exists()
    with running_postgres(empty_dir) as server:
        assert run(server.url(), "SELECT 1") == 1
    assert not list(empty_dir.glob("postgres.new-*"))


def test_a_database_url_is_used_and_nothing_is_started(empty_dir: Path) -> None:
    settings = Settings(database_url="postgresql://elsewhere/db", state_dir=empty_dir)
    with database_url(settings) as url:
        assert url == "postgresql://elsewhere/db"
    assert list(empty_dir.iterdir()) == []


def test_the_embedded_database_is_used_without_a_database_url(state_dir: Path) -> None:
    with database_url(Settings(database_url=None, state_dir=state_dir)) as url:
        assert run(url, "SELECT current_database()") == "trailmatch"
