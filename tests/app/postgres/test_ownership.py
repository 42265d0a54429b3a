"""Of several processes one runs the server, and when it is killed the next start recovers."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from app.failure import Failure
from app.postgres import running_postgres
from app.postgres.pid_file import answers
from tests.app.postgres.holding import hold, let_go, run, servers_in, url_of, wait_until


def test_a_killed_owner_leaves_no_server_and_the_next_start_recovers(state_dir: Path) -> None:
    owner = hold(state_dir)
    run(url_of(owner), "CREATE TABLE kept AS SELECT 7 AS n", "SELECT 1")
    assert len(servers_in(state_dir)) == 1
    owner.kill()
    owner.wait()
    wait_until(lambda: not servers_in(state_dir))
    with running_postgres(state_dir) as server:
        assert run(server.url(), "SELECT n FROM kept") == 7


def test_a_start_right_after_a_kill_waits_for_the_old_server(state_dir: Path) -> None:
    for n in range(3):
        owner = hold(state_dir)
        url = url_of(owner)
        run(url, f"CREATE TABLE kept_{n} AS SELECT generate_series(1, 100000)", "SELECT 1")
        owner.kill()
        owner.wait()
        with running_postgres(state_dir) as server:
            assert run(server.url(), f"SELECT count(*) FROM kept_{n}") == 100_000
            assert len(servers_in(state_dir)) == 1


def test_when_server_and_owner_are_killed_together_the_next_start_recovers(state_dir: Path) -> None:
    owner = hold(state_dir)
    run(url_of(owner), "CREATE TABLE kept AS SELECT 7 AS n", "SELECT 1")
    (server_process,) = servers_in(state_dir)
    server_process.kill()
    owner.kill()
    owner.wait()
    assert (state_dir / "postgres" / "postmaster.pid").exists()
    with running_postgres(state_dir) as server:
        assert run(server.url(), "SELECT n FROM kept") == 7


def test_a_second_process_attaches_and_does_not_stop_the_server(state_dir: Path) -> None:
    owner = hold(state_dir)
    url = url_of(owner)
    with running_postgres(state_dir) as server:
        assert server.url() == url
        assert run(server.url(), "SELECT 1") == 1
    assert run(url, "SELECT 1") == 1
    assert let_go(owner) == 0
    assert servers_in(state_dir) == []


def test_a_process_whose_server_has_died_is_named(state_dir: Path) -> None:
    owner = hold(state_dir)
    run(url_of(owner), "SELECT 1")
    (server_process,) = servers_in(state_dir)
    server_process.kill()
    wait_until(lambda: not answers(state_dir / "postgres"))  # its children take a moment to notice
    with pytest.raises(Failure, match=f"process {owner.pid} runs PostgreSQL in .*, but it does not answer"):
        running_postgres(state_dir).__enter__()
    owner.kill()
    owner.wait()
    with running_postgres(state_dir) as server:
        assert run(server.url(), "SELECT 1") == 1


def test_of_many_starts_at_once_one_makes_the_cluster_and_the_others_attach(empty_dir: Path) -> None:
    holders = [hold(empty_dir) for _ in range(4)]
    assert len({url_of(holder) for holder in holders}) == 1
    assert len(servers_in(empty_dir)) == 1
    assert [let_go(holder) for holder in holders] == [0, 0, 0, 0]


def test_files_of_a_server_that_is_gone_do_not_mistake_another_process_for_it(state_dir: Path) -> None:
    # As in a new container with the old files: what had the server's number is somebody else now.
    with running_postgres(state_dir) as server:
        left = (server.socket_dir / "postmaster.pid").read_text().splitlines()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        left[0] = str(bystander.pid)
        (state_dir / "postgres" / "postmaster.pid").write_text("\n".join(left))
        (state_dir / "postgres" / ".s.PGSQL.5432.lock").write_text("\n".join(left[:5]))
        (state_dir / "postgres.server").write_text(f"{bystander.pid}\n")
        with running_postgres(state_dir) as server:
            assert run(server.url(), "SELECT 1") == 1
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_that_somebody_started_by_hand_is_not_started_again(state_dir: Path) -> None:
    # The files of such a server, whose number is none that we know.
    with running_postgres(state_dir) as server:
        left = (server.socket_dir / "postmaster.pid").read_text().splitlines()
    left[0] = str(os.getppid())
    (state_dir / "postgres" / "postmaster.pid").write_text("\n".join(left))
    with pytest.raises(Failure, match="already exists"):
        running_postgres(state_dir).__enter__()


def test_it_is_refused_outside_the_main_thread_whose_end_would_stop_the_server(state_dir: Path) -> None:
    refusals: list[Exception] = []

    def start() -> None:
        try:
            running_postgres(state_dir).__enter__()
        except RuntimeError as error:
            refusals.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refusals[0])
