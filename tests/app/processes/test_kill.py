"""What was acknowledged survives `kill -9` at any moment, and is matched and told of exactly once."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx

from app.db import Connection, connect
from app.postgres import running_postgres
from app.running import Running, Service
from benchmarks.patient_client import PatientClient
from benchmarks.playing import Played, Player
from benchmarks.service_process import free_port, own_state_dir, prepare, prepare_database
from benchmarks.story import Story
from tests.app.processes.endings import (
    PROFILE,
    Ending,
    check_ending,
    check_nothing_is_left,
    play_through,
    read_ending,
)

KILLS = 3


def test_a_service_and_a_worker_that_are_killed_again_and_again_end_with_the_same_answer(
    story: Story, undisturbed: Ending
) -> None:
    draw = random.Random(3)
    with own_state_dir() as state_dir:
        keys, port = prepare(state_dir, PROFILE), free_port()
        service = Service(state_dir, port)
        service.wait_until_ready(keys.force)
        worker = Running(state_dir, "worker")

        async def kill_and_restart() -> None:
            nonlocal service, worker
            for kill in range(KILLS):
                await asyncio.to_thread(service.wait_until_ready, keys.force)
                if kill == 1:
                    worker.kill()
                    worker = Running(state_dir, "worker")
                await asyncio.sleep(draw.uniform(0.0, 1.0))
                # It takes the database with it; the worker has to find the next one.
                service.kill()
                service = Service(state_dir, port)

        async def play_and_kill() -> Played:
            async with asyncio.TaskGroup() as tasks:
                playing = tasks.create_task(play_through(story, service.address, keys))
                tasks.create_task(kill_and_restart())
            return playing.result()

        try:
            played = asyncio.run(play_and_kill())
            worker.raise_if_ended()
            # The last one may have been started a moment ago, and to end in order it has to have begun.
            service.wait_until_ready(keys.force)
        finally:
            codes = worker.stop(), service.stop()
        # Else it was only killed when nobody wanted anything of it.
        assert played.repeats > 0
        assert codes == (0, 0)
        check_ending(read_ending(state_dir), undisturbed, story)
        check_nothing_is_left(state_dir)


WAITING = "SELECT count(*) FROM ping_batch WHERE matched_at IS NULL"
TAKEN_UP = "SELECT count(*) FROM ping_batch WHERE claim_token IS NOT NULL OR matched_at IS NOT NULL"
# What a killed worker held is free again when its lease is over; the test does not wait for that.
END_LEASES = (
    "UPDATE ping_batch SET claim_token = NULL, claimed_until = NULL WHERE matched_at IS NULL",
    "UPDATE due SET claim_token = NULL, claimed_until = NULL",
)


@contextlib.contextmanager
def working(state_dir: Path) -> Iterator[None]:
    worker = Running(state_dir, "worker")
    try:
        yield
    finally:
        worker.kill()


async def kill_within_a_claim(connection: Connection, state_dir: Path, wait_s: float) -> None:
    """Start a worker, and kill it so long after it has taken batches up."""
    for statement in END_LEASES:
        await connection.execute(statement)
    before = await connection.fetchval(TAKEN_UP)
    worker = Running(state_dir, "worker")
    try:
        async with asyncio.timeout(60):
            while await connection.fetchval(TAKEN_UP) == before:  # noqa: ASYNC110 - who takes them tells nobody
                await asyncio.sleep(0.001)
        await asyncio.sleep(wait_s)
    finally:
        worker.kill()


def test_a_worker_that_is_killed_within_a_claim_of_everything_loses_nothing_of_it(
    story: Story, undisturbed: Ending
) -> None:
    draw = random.Random(5)
    with own_state_dir() as state_dir, running_postgres(state_dir) as server:
        keys = asyncio.run(prepare_database(server.url(), PROFILE))
        service = Service(state_dir, free_port(), "--no-matcher")
        service.wait_until_ready(keys.force)

        async def kill_within_claims() -> None:
            async with (
                PatientClient(service.address, keys.contractor) as contractor,
                PatientClient(service.address, keys.force) as force,
                connect(server.url()) as connection,
            ):
                player = Player(story, contractor, force, PROFILE.name, lambda *_: None)
                await player.fit()
                await player.report()
                with working(state_dir):
                    await player.wait_until_idle()
                # The crimes have met no ping: from now on only the batches themselves lead to a match.
                await player.send_all(batch_pings=100)
                assert await connection.fetchval(WAITING) == story.device.size / 100
                for _ in range(KILLS):
                    if await connection.fetchval(WAITING):
                        await kill_within_a_claim(connection, state_dir, draw.uniform(0.0, 0.05))
                for statement in END_LEASES:
                    await connection.execute(statement)
                with working(state_dir):
                    await player.wait_until_idle()

        try:
            asyncio.run(kill_within_claims())
        finally:
            service.stop()
        check_ending(read_ending(state_dir), undisturbed, story)


def test_it_stops_in_good_order_while_somebody_listens_to_the_stream() -> None:
    with own_state_dir() as state_dir:
        keys = prepare(state_dir)
        service = Service(state_dir, free_port())
        try:
            service.wait_until_ready(keys.force)
            headers = {"Authorization": f"Bearer {keys.force}"}
            with httpx.stream("GET", f"{service.address}/v1/alerts/stream", headers=headers, timeout=30) as stream:
                assert next(stream.iter_lines()) == ": open"
                service.process.send_signal(signal.SIGTERM)
                # A server that waits for its clients to leave would wait for ever.
                assert service.process.wait(30) == 0
        finally:
            service.stop()
        check_nothing_is_left(state_dir)
