"""The command as a whole: a tiny town through a real service and a real PostgreSQL."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.access.organisations import find_or_create_organisation
from app.db import connect
from app.demo.truth import Missed

DEMO = [sys.executable, "-m", "app", "demo"]
TINY = ["--json", "--seed", "3", "--wearers", "6", "--days", "1", "--crimes", "12"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def state_dir() -> Iterator[Path]:
    # Not pytest's directory: its path is too long for PostgreSQL's socket.
    with tempfile.TemporaryDirectory(prefix="trailmatch-demo-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)  # where PostgreSQL has to run as another user, that one must get in
        yield Path(directory)


def environment(database_url: str | None = None, **variables: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return {**ours, **variables, **({"DATABASE_URL": database_url} if database_url else {})}


def run(*options: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*DEMO, *options], env=env, capture_output=True, text=True, timeout=300, check=False)


def check_figures(figures: dict[str, Any]) -> None:
    pings = figures["pings"]
    assert pings["accepted"] > 10 * 6 * 1_440 * 0.7
    assert pings["accepted"] + pings["duplicates"] == pings["sent"]
    assert pings["duplicates"] > 0
    assert (pings["conflicts"], pings["rejected"]) == (0, 0)
    assert figures["idle"]
    assert figures["incidents"] == 12
    assert figures["planted"] == 4
    assert figures["planted_found"] >= 1
    assert Missed.NOT_MATCHED not in {missed["why"] for missed in figures["planted_missed"]}
    # Which others there are depends on the hour at which the town is played.
    assert figures["verdicts"]["present"] >= figures["planted_found"]
    assert figures["alerts_withdrawn"] > 0
    assert figures["alerts"] == figures["alerts_heard"] >= figures["planted_found"]
    measured = figures["ping_to_alert_ms"]["alerts"] + figures["incident_to_alert_ms"]["alerts"]
    assert measured <= figures["alerts"]


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=60)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_once_plays_prints_and_leaves_nothing_running(empty_database_url: str, port: int) -> None:
    done = run("--once", *TINY, "--port", str(port), env=environment(empty_database_url))
    assert done.returncode == 0, done.stderr
    check_figures(json.loads(done.stdout))
    assert not is_listening(port)


def test_it_serves_on_until_it_is_interrupted(empty_database_url: str, port: int) -> None:
    command = [*DEMO, *TINY, "--port", str(port)]
    with subprocess.Popen(
        command, env=environment(empty_database_url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            look_around(demo)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0
        finally:
            demo.terminate()  # else what failed above would wait for it for ever
    assert not is_listening(port)


def look_around(demo: "subprocess.Popen[str]") -> None:
    assert demo.stdout is not None
    assert demo.stderr is not None
    check_figures(json.loads(demo.stdout.readline()))
    said = ""
    while "/docs" not in said:
        said += demo.stderr.readline()
    key = said.partition("KEY=")[2].split()[0]
    for line in [line for line in said.splitlines() if line.startswith("curl") and "stream" not in line]:
        subprocess.run(["bash", "-c", f"{line} --silent --fail"], env={**os.environ, "KEY": key}, check=True)


def test_killed_it_leaves_nothing_running_and_the_next_one_starts_anew(state_dir: Path, port: int) -> None:
    env = environment(TRAILMATCH_STATE_DIR=str(state_dir))
    started = kill_while_playing(env, port)
    assert started
    assert wait_until_gone(started) == []
    done = run("--once", *TINY, "--port", "0", env=env)
    assert done.returncode == 0, done.stderr
    check_figures(json.loads(done.stdout))


def test_killed_its_service_ends_too_where_the_database_goes_on(empty_database_url: str, port: int) -> None:
    started = kill_while_playing(environment(empty_database_url), port)
    assert started
    assert wait_until_gone(started) == []
    assert not is_listening(port)


def kill_while_playing(env: dict[str, str], port: int) -> list[psutil.Process]:
    """Kill a demo whose service answers; gives the processes that it had started."""
    command = [*DEMO, *TINY, "--port", str(port)]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        answers = False
        while not answers:
            assert demo.poll() is None, demo.stderr.read()
            with contextlib.suppress(httpx.TransportError):
                answers = httpx.get(f"http://127.0.0.1:{port}/health/liveness", timeout=60).is_success
            time.sleep(0.05)
        started = psutil.Process(demo.pid).children(recursive=True)
        demo.kill()
    return started


def test_a_port_in_use_is_said_in_one_line(empty_database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--once", *TINY, "--port", str(port), env=environment(empty_database_url))
    assert done.returncode == 1
    assert f"port {port} cannot be used" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


async def test_a_database_of_others_is_refused_in_one_line(database_url: str) -> None:
    async with connect(database_url) as connection:
        await find_or_create_organisation(connection, "Kent", "force", None)
    done = run("--once", *TINY, "--port", "0", env=environment(database_url))
    assert done.returncode == 1
    assert "in use by others" in done.stderr.splitlines()[-1]


def test_a_wrong_option_is_wrong_usage() -> None:
    assert run("--wearers", "0", env=environment()).returncode == 2
