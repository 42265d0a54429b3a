"""What operators hold in their hands: alarms, dashboard and runbook name what there is; workers give metrics."""

import importlib
import json
import os
import pkgutil
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import app
from app.metrics import OF_ALL
from app.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
RUNBOOK = (DOCS / "operating.md").read_text(encoding="utf-8")
RULES = (DOCS / "operating" / "prometheus-rules.yml").read_text(encoding="utf-8")
DASHBOARD = (DOCS / "operating" / "grafana.json").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def metric_names() -> set[str]:
    """Every name that /metrics gives a line of, once there is something to count."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name.rpartition(".")[2] == "metrics":
            importlib.import_module(module.name)
    endings = {
        "counter": ("_total",),
        "gauge": ("",),
        "histogram": ("_bucket", "_count", "_sum"),
    }
    families = [family for family in OF_ALL.collect() if family.name.startswith("trailmatch_")]
    return {family.name + ending for family in families for ending in endings[family.type]}


@pytest.mark.parametrize("text", [RUNBOOK, RULES, DASHBOARD], ids=["runbook", "alarms", "dashboard"])
def test_every_metric_named_is_one_that_is_given(text: str, metric_names: set[str]) -> None:
    named = set(re.findall(r"trailmatch_[a-z_]+", text))
    assert named
    assert named <= metric_names


def test_every_alarm_names_a_section_of_the_runbook_that_is_there() -> None:
    sections = set(re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE))
    named = re.findall(r"Runbook, “(.+?)”", RULES)
    assert len(named) == RULES.count("- alert: ")
    assert set(named) <= sections


def test_every_setting_that_the_runbook_names_is_one() -> None:
    settings = {f"TRAILMATCH_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"TRAILMATCH_[A-Z_]+", RUNBOOK)) <= settings


def test_the_dashboard_is_one_that_grafana_can_place() -> None:
    panels = json.loads(DASHBOARD)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = {
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    }
    assert len(taken) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in panels)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        yield int(probe.getsockname()[1])


def start_worker(database_url: str, metrics_port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "app", "worker", "--metrics-port", str(metrics_port)],
        env={**os.environ, "DATABASE_URL": database_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_worker_gives_its_metrics_and_ends_with_them(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    worker = start_worker(database_url, port)
    try:
        while True:
            assert worker.poll() is None
            try:
                text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert "trailmatch_match_lag_seconds_count" in text
    finally:
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said


def test_a_port_for_metrics_that_is_taken_is_said_in_one_line(database_url: str, port: int) -> None:
    worker = start_worker(database_url, port)
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert said.splitlines()[-1].startswith(f"trailmatch: no metrics on port {port} of 127.0.0.1")
