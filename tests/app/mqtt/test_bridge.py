"""The bridge as a process, between a real broker and the real service."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from app.db import Connection
from tests.app.conftest import MakeKey
from tests.programs import find_program

TOPIC = "tags/{device_id}/pings"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def broker_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Mosquitto of this module's own."""
    program = find_program("mosquitto")
    port = free_port()
    configuration = tmp_path_factory.mktemp("mosquitto") / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with subprocess.Popen([program, "-c", configuration], stderr=subprocess.DEVNULL) as broker:
        wait_until(lambda: is_listening(port))
        yield port
        broker.terminate()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Publisher:
    """Publishes and waits until the broker has it."""

    def __init__(self, port: int) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def publish(self, topic: str, *payloads: object) -> None:
        for payload in payloads:
            text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            self._client.publish(topic, text, qos=1).wait_for_publish(30)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def publisher(broker_port: int) -> Iterator[Publisher]:
    publisher = Publisher(broker_port)
    yield publisher
    publisher.close()


def start_bridge(
    broker_port: int, address: str, key: str, client_id: str, until: str = "subscribed"
) -> "subprocess.Popen[str]":
    broker = f"mqtt://127.0.0.1:{broker_port}"
    bridge = subprocess.Popen(
        [sys.executable, "-m", "app", "mqtt", "--broker", broker, "--topic", TOPIC, "--client-id", client_id],
        env={**os.environ, "TRAILMATCH_KEY": key, "TRAILMATCH_URL": address},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert bridge.stderr is not None
    # Subscribed once: from here on the broker keeps what comes.
    for line in bridge.stderr:
        if until in line:
            break
    return bridge


def stop(bridge: "subprocess.Popen[str]") -> None:
    bridge.send_signal(signal.SIGTERM)
    _, said = bridge.communicate(timeout=30)
    assert bridge.returncode == 0, said


def ping(minute: int) -> dict[str, Any]:
    return {"fixed_at": f"2026-03-14T02:{minute:02}:00Z", "lon": 1.08, "lat": 51.27, "accuracy_m": 8, "source": "gps"}


def wait_until_passed_on(bridge: "subprocess.Popen[str]", messages: int) -> None:
    """Read its log until so many messages are stored, and acknowledged: a moment earlier they would come again."""
    assert bridge.stderr is not None
    for line in bridge.stderr:
        told = json.loads(line)
        messages -= told.get("messages", 0)
        if messages <= 0:
            return
    raise AssertionError("it ended")


def key_of(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


SERIALS = "SELECT array_agg(serial) FROM ping JOIN device USING (device_id)"


async def test_messages_become_pings_of_the_device_that_the_topic_names_and_bad_ones_are_kept(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection, broker_port: int, publisher: Publisher
) -> None:
    key = key_of(await make_key("Tags", "contractor", "pings:write"))
    bridge = start_bridge(broker_port, str(service.base_url), key, "first")
    try:
        await asyncio.to_thread(publisher.publish, "tags/T-1/pings", ping(1), [ping(2), ping(3)])
        await asyncio.to_thread(publisher.publish, "tags/T-2/pings", b"{no json", {**ping(4), "lat": 91})
        await asyncio.to_thread(wait_until_passed_on, bridge, 4)
    finally:
        await asyncio.to_thread(stop, bridge)
    assert await connection.fetchval(SERIALS) == ["T-1", "T-1", "T-1"]
    rejects = await connection.fetch("SELECT code, raw FROM ping_reject ORDER BY code")
    assert [row["code"] for row in rejects] == ["not_json", "out_of_range"]
    assert rejects[0]["raw"] == "{no json"


async def test_what_comes_while_the_service_or_the_bridge_is_away_is_stored_once_both_are_back(
    service: httpx.AsyncClient, make_key: MakeKey, connection: Connection, broker_port: int, publisher: Publisher
) -> None:
    key = key_of(await make_key("Tags", "contractor", "pings:write"))
    away = start_bridge(broker_port, f"http://127.0.0.1:{free_port()}", key, "second")
    assert away.stderr is not None
    await asyncio.to_thread(publisher.publish, "tags/T-1/pings", ping(1), ping(2))
    # It has them and cannot pass them on; killed, it has acknowledged nothing.
    assert any("sent again" in line for line in iter(away.stderr.readline, ""))
    away.kill()
    away.communicate()
    await asyncio.to_thread(publisher.publish, "tags/T-1/pings", ping(3))
    bridge = start_bridge(broker_port, str(service.base_url), key, "second")
    try:
        await asyncio.to_thread(wait_until_passed_on, bridge, 3)
    finally:
        await asyncio.to_thread(stop, bridge)
    # Everything was acknowledged: the next one gets only what is new.
    await asyncio.to_thread(publisher.publish, "tags/T-1/pings", ping(4))
    bridge = start_bridge(broker_port, str(service.base_url), key, "second")
    try:
        await asyncio.to_thread(wait_until_passed_on, bridge, 1)
    finally:
        await asyncio.to_thread(stop, bridge)
    assert await connection.fetchval("SELECT ARRAY[sum(accepted), sum(duplicates)] FROM ping_batch") == [4, 0]


async def test_a_key_that_is_not_valid_ends_it_in_one_line_and_the_messages_wait(
    service: httpx.AsyncClient, make_key: MakeKey, broker_port: int, publisher: Publisher
) -> None:
    bridge = start_bridge(broker_port, str(service.base_url), "tm_wrong", "third")
    await asyncio.to_thread(publisher.publish, "tags/T-1/pings", ping(1))
    _, said = await asyncio.to_thread(bridge.communicate, timeout=30)
    assert bridge.returncode == 1
    assert said.splitlines()[-1].startswith("trailmatch: the service refuses the pings (401)")
    key = key_of(await make_key("Tags", "contractor", "pings:write"))
    bridge = start_bridge(broker_port, str(service.base_url), key, "third")
    try:
        await asyncio.to_thread(wait_until_passed_on, bridge, 1)
    finally:
        await asyncio.to_thread(stop, bridge)


def test_of_two_bridges_of_one_name_the_first_says_what_may_be_wrong(broker_port: int) -> None:
    first = start_bridge(broker_port, "http://127.0.0.1:1", "tm_any", "fourth")
    assert first.stderr is not None
    # The two throw each other out, so the second may never come to subscribe.
    second = start_bridge(broker_port, "http://127.0.0.1:1", "tm_any", "fourth", until="connected to the broker")
    try:
        assert "another bridge of the same --client-id" in first.stderr.readline()
    finally:
        stop(first)
        stop(second)


@pytest.mark.parametrize("broker", ["http://host", "mqtt://", "mqtt://user:secret@host"])
def test_a_broker_that_is_none_is_refused_in_one_line(broker: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "mqtt", "--broker", broker, "--topic", TOPIC, "--key", "tm_any"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("trailmatch: --broker is mqtt://host:port")
    assert "secret" not in done.stderr
