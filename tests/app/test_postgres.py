"""The embedded server, with processes that are started, stopped and killed for real."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from app import postgres
from app.failure import Failure
from app.postgres import database_url, running_postgres
from app.settings import Settings

# Says where the server is, then holds it until its input ends.
HOLD = """
import sys
from pathlib import Path
from app.postgres import running_postgres

with running_postgres(Path(sys.argv[1])) as server:
    print(server.url(), flush=True)
    sys.stdin.read()
"""


# Processes that this test has started.
HOLDERS: "list[subprocess.Popen[str]]" = []


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A directory whose path leaves room for a socket, with nothing running in it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="trailmatch-test-"))
    directory.chmod(0o755)
    yield directory
    while HOLDERS:
        with HOLDERS.pop() as holder:
            holder.kill()
    wait_until(lambda: not servers_in(directory))
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def made_cluster() -> Iterator[Path]:
    """A cluster that was made, used and stopped."""
    directory = Path(tempfile.mkdtemp(prefix="trailmatch-test-"))
    directory.chmod(0o755)
    with running_postgres(directory):
        pass
    yield directory / "postgres"
    shutil.rmtree(directory)


@pytest.fixture
def state_dir(empty_dir: Path, made_cluster: Path) -> Path:
    """A state directory with a cluster: making one takes longer than all the rest of a test."""
    shutil.copytree(made_cluster, empty_dir / "postgres")
    return empty_dir


def hold(state_dir: Path, **environment: str) -> "subprocess.Popen[str]":
    """A process that runs the server, or attaches to it, until it is let go or killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
    )
    HOLDERS.append(holder)
    return holder


def url_of(holder: "subprocess.Popen[str]") -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def let_go(holder: "subprocess.Popen[str]") -> int:
    assert holder.stdin is not None
    holder.stdin.close()
    holder.wait()
    return holder.returncode


def servers_in(state_dir: Path) -> list[psutil.Process]:
    """The postmasters that run on this state directory, but not their forks that look like them for a moment."""
    found = {}
    for process in psutil.process_iter(["cmdline", "name", "ppid"]):
        command = process.info["cmdline"] or []  # none, if it has ended and nobody has reaped it
        if process.info["name"] == "postgres" and str(state_dir / "postgres") in command:
            found[process.pid] = process
    return [process for process in found.values() if process.info["ppid"] not in found]


def run(url: str, *statements: str) -> object:
    """Run statements; the first column of the last one's first row."""

    async def on_one_connection() -> object:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(on_one_connection())


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


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


def test_of_many_starts_at_once_one_makes_the_cluster_and_the_others_attach(empty_dir: Path) -> None:
    holders = [hold(empty_dir) for _ in range(4)]
    assert len({url_of(holder) for holder in holders}) == 1
    assert len(servers_in(empty_dir)) == 1
    assert [let_go(holder) for holder in holders] == [0, 0, 0, 0]


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


def test_ctrl_c_in_the_terminal_stops_the_owner_first(state_dir: Path) -> None:
    owner = hold(state_dir)
    url_of(owner)
    (server_process,) = servers_in(state_dir)
    assert os.getpgid(server_process.pid) != os.getpgid(owner.pid)
    owner.send_signal(signal.SIGINT)
    owner.wait()
    assert servers_in(state_dir) == []
    assert not (state_dir / "postgres" / "postmaster.pid").exists()


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


def test_a_start_that_fails_shows_the_end_of_the_log(state_dir: Path) -> None:
    (state_dir / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(Failure, match="no_such_setting"), running_postgres(state_dir):
        pass


def test_data_of_a_version_that_is_not_installed_are_refused(state_dir: Path) -> None:
    (state_dir / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(Failure, match="PostgreSQL 12, which made the data here, is not installed"):
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


def test_a_database_url_is_used_and_nothing_is_started(empty_dir: Path) -> None:
    settings = Settings(database_url="postgresql://elsewhere/db", state_dir=empty_dir)
    with database_url(settings) as url:
        assert url == "postgresql://elsewhere/db"
    assert list(empty_dir.iterdir()) == []


def test_the_embedded_database_is_used_without_a_database_url(state_dir: Path) -> None:
    with database_url(Settings(database_url=None, state_dir=state_dir)) as url:
        assert run(url, "SELECT current_database()") == "trailmatch"


INSTALLED = {postgres._major_version(directory): directory for directory in postgres._program_directories()}


@pytest.mark.parametrize("major", sorted(INSTALLED.keys() & set(postgres.SUPPORTED)))
def test_every_supported_version_that_is_installed_starts_and_its_data_stay_with_it(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch, major: int
) -> None:
    with monkeypatch.context() as only_this_one:
        only_this_one.setattr(postgres, "_program_directories", lambda: iter([INSTALLED[major]]))
        with running_postgres(empty_dir):
            pass
    with running_postgres(empty_dir) as server:
        assert str(run(server.url(), "SHOW server_version")).startswith(f"{major}.")


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
