"""Plays a story through the public API as a contractor and a force would, and reads back what was found."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from app.failure import Failure
from app.times import to_datetime, to_us
from benchmarks.idle import wait_until_idle
from benchmarks.parties import FORCE, Keys
from benchmarks.patient_client import PatientClient
from benchmarks.progress import Tell
from benchmarks.story import Meeting, Meetings, Report, Story

ARROW = "application/vnd.apache.arrow.stream"
# Batches that are on their way at one time: the order of arrival is that of the story, but for so many neighbours.
IN_FLIGHT = 4
_RECORDS_A_BODY = 1_000


class Played(NamedTuple):
    """What became of a story."""

    accepted: int  # pings
    duplicates: int  # pings that were there already: sent again because their answer was lost
    repeats: int  # requests that had to be made again
    sending_s: float  # from the first batch of pings to the last acknowledgement, crimes included
    drain_s: float  # from there until nothing waited any more
    backlog: int  # batches that waited for the matcher when the last was acknowledged
    matches: list[dict[str, Any]]  # with a ping inside
    alerts: list[dict[str, Any]]


async def play(story: Story, address: str, keys: Keys, profile: str, tell: Tell, batch_pings: int = 5_000) -> Played:
    """Fit the devices, send all pings, report the crimes when half of them are sent, wait, and read.

    What is not acknowledged is sent again. Raises Failure for an answer that says our request is wrong, and when
    the service stays away or its matcher does not get on.
    """
    async with PatientClient(address, keys.contractor) as contractor, PatientClient(address, keys.force) as force:
        player = Player(story, contractor, force, profile, tell)
        await player.fit()
        began_s = time.perf_counter()
        await player.send_all(batch_pings)
        sent_s = time.perf_counter()
        await player.wait_until_idle()
        idle_s = time.perf_counter()
        return Played(
            player.accepted,
            player.duplicates,
            contractor.repeats + force.repeats,
            sent_s - began_s,
            idle_s - sent_s,
            player.backlog,
            await force.get_all("matches", min_pings=1),
            await force.get_all("alerts"),
        )


def meetings_of(matches: list[dict[str, Any]]) -> Meetings:
    """What matches say, in the terms of a story: wearers go by the serial of their device."""
    return {
        (match["incident"]["reference"], match["wearer"]["reference"]): Meeting(
            match["n_pings"],
            match["min_dist_m"],
            to_us(datetime.fromisoformat(match["first_at"])),
            to_us(datetime.fromisoformat(match["last_at"])),
        )
        for match in matches
    }


class Player:
    """Takes the steps of `play` one by one."""

    def __init__(self, story: Story, contractor: PatientClient, force: PatientClient, profile: str, tell: Tell) -> None:
        self._story, self._contractor, self._force, self._profile, self._tell = story, contractor, force, profile, tell
        self.accepted = 0
        self.duplicates = 0
        self.backlog = 0
        self._sent = 0
        self._are_reported = False

    async def fit(self) -> None:
        """Make one wearer for each device, called as the device is, who wears it from the day before the first ping."""
        serials = self._story.serials
        fitted_at = to_datetime(int(self._story.fixed_at_us.min())) - timedelta(days=1)
        await _post_all(self._contractor, "/v1/wearers", [{"reference": serial, "force": FORCE} for serial in serials])
        activations = [
            {
                "activation_id": f"F-{serial}",
                "revision": 1,
                "device_id": serial,
                "wearer_reference": serial,
                "fitted_at": fitted_at.astimezone(UTC).isoformat(),
            }
            for serial in serials
        ]
        await _post_all(self._contractor, "/v1/activations", activations)

    async def send_all(self, batch_pings: int) -> None:
        """Send the batches in their order, a few at a time; halfway report the crimes, if they are not reported yet."""
        pings = self._story.device.size
        batches = iter([slice(at, min(at + batch_pings, pings)) for at in range(0, pings, batch_pings)])
        try:
            async with asyncio.TaskGroup() as senders:
                for _ in range(IN_FLIGHT):
                    senders.create_task(self._send_from(batches))
        except* Failure as failures:
            raise Failure("; ".join({str(each) for each in failures.exceptions})) from None

    async def _send_from(self, batches: Iterator[slice]) -> None:
        pings = self._story.device.size
        for rows in batches:
            if not self._are_reported and rows.stop >= pings / 2:
                await self.report()
            answer = await self._contractor.post("/v1/pings", _arrow(self._story, rows), ARROW)
            if answer["rejected"]:
                raise Failure(f"pings were rejected: {answer['errors'][0]}")
            self.accepted += answer["accepted"]
            self.duplicates += answer["duplicates"]
            self._sent += rows.stop - rows.start
            self._tell("sending", self._sent / pings)

    async def report(self) -> None:
        """Report all crimes."""
        self._are_reported = True
        reports = [_record(report, self._profile) for report in self._story.reports]
        await _post_all(self._force, "/v1/incidents", reports)

    async def wait_until_idle(self) -> None:
        """Return when nothing waits to be matched or told."""
        self.backlog = await wait_until_idle(self._force, lambda done: self._tell("matching", done))


async def _post_all(client: PatientClient, path: str, records: list[dict[str, Any]]) -> None:
    remaining = iter(records)
    while body := list(islice(remaining, _RECORDS_A_BODY)):
        answer = await client.post(path, msgspec.json.encode(body))
        if answer.get("rejected"):
            raise Failure(f"POST {path}: {answer['errors'][0]}")


def _record(report: Report, profile: str) -> dict[str, Any]:
    return {
        "force": FORCE,
        "reference": report.reference,
        "offence": report.offence,
        "from": to_datetime(report.from_us).isoformat(),
        "to": to_datetime(report.to_us).isoformat(),
        "lon": report.lon_deg,
        "lat": report.lat_deg,
        "profile": profile,
    }


def _arrow(story: Story, rows: slice) -> bytes:
    serials = pa.DictionaryArray.from_arrays(pa.array(story.device[rows]), pa.array(story.serials))
    table = pa.table(
        {
            "device_id": serials,
            "fixed_at_us": pa.array(story.fixed_at_us[rows]),
            "lon": pa.array(story.lon_deg[rows]),
            "lat": pa.array(story.lat_deg[rows]),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
