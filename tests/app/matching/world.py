"""A small world in the database: one force, one contractor, a crime and people about it, written as the API would."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import numpy as np

from app import identity
from app.alerts.dispatcher import dispatch
from app.db import Connection, Pool
from app.matching.due import Touch, touch_wearers
from app.matching.evaluate_stage import evaluate_due
from app.matching.join_stage import join_arrivals, join_batches, join_rejoins
from app.matching.open_incidents import OpenIncidents
from app.matching.profiles import find_newest, publish_profile
from app.pings.payload import PING, pack
from matcher.profile import RADIUS_100M, Profile

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
LON, LAT = -1.55, 53.8
METRE_NORTH_DEG = 1 / 111_270  # near enough at this latitude for places that are not near an edge

DAY = """
CREATE TABLE IF NOT EXISTS {name} PARTITION OF ping FOR VALUES FROM ('{day}') TO ('{next}')
"""


class Fix(NamedTuple):
    """A position, as metres north of the crime's place at a number of seconds from noon."""

    seconds: float
    north_m: float


# Two of them within 100 m of the place in the window, one before and one after.
INSIDE = (Fix(-60, 500), Fix(0, 20), Fix(60, 30), Fix(120, 600))


class World:
    """Writes what the API would write, and runs the matcher's stages one by one."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.run_id = uuid4()
        self.force_id = 0
        self.contractor_id = 0
        self.arrivals, self.rejoins, self.batches = OpenIncidents(), OpenIncidents(), OpenIncidents()

    async def found(self, profile: Profile = RADIUS_100M) -> None:
        async with self.pool.acquire() as c:
            self.force_id = await c.fetchval(
                "INSERT INTO organisation (code, name, kind) VALUES ('Kent', 'Kent', 'force') RETURNING organisation_id"
            )
            self.contractor_id = await c.fetchval(
                "INSERT INTO organisation (code, name, kind) VALUES ('Tags', 'Tags', 'contractor') "
                "RETURNING organisation_id"
            )
            await publish_profile(c, profile)
            await c.execute(
                "INSERT INTO run (run_id, version, algorithm, host, process_id) VALUES ($1, 't', 't', 't', 1)",
                self.run_id,
            )
            for day in (NOON - timedelta(days=1), NOON, NOON + timedelta(days=1)):
                name = f"ping_{day:%Y%m%d}"
                await c.execute(DAY.format(name=name, day=day.date(), next=(day + timedelta(days=1)).date()))

    async def device(self, serial: str) -> int:
        return int(
            await self.pool.fetchval(
                "INSERT INTO device (contractor_id, serial) VALUES ($1, $2) RETURNING device_id",
                self.contractor_id,
                serial,
            )
        )

    async def wearer(self, reference: str) -> UUID:
        wearer_id = identity.wearer_id(reference)
        await self.pool.execute("INSERT INTO wearer (wearer_id, reference) VALUES ($1, $2)", wearer_id, reference)
        return wearer_id

    async def fit(self, device_id: int, wearer_id: UUID, from_s: float = -36_000, to_s: float | None = None) -> None:
        """Fit a device without asking for anything to be matched again: for fittings that come before everything."""
        from_at = NOON + timedelta(seconds=from_s)
        to_at = datetime.max.replace(tzinfo=UTC) if to_s is None else NOON + timedelta(seconds=to_s)
        async with self.pool.acquire() as c, c.transaction():
            ref = f"{device_id} {from_s}"
            await c.execute(
                "INSERT INTO activation (contractor_id, activation_ref, revision, device_id, wearer_id, fitted_at) "
                "VALUES ($1, $2, 1, $3, $4, $5)",
                self.contractor_id,
                ref,
                device_id,
                wearer_id,
                from_at,
            )
            await c.execute(
                "INSERT INTO effective_activation "
                "(device_id, from_at, to_at, wearer_id, contractor_id, activation_ref, revision, is_cut_short) "
                "VALUES ($1, $2, $3, $4, $5, $6, 1, false)",
                device_id,
                from_at,
                to_at,
                wearer_id,
                self.contractor_id,
                ref,
            )

    async def worn_device(self, name: str) -> tuple[int, UUID]:
        device_id, wearer_id = await self.device(name), await self.wearer(name)
        await self.fit(device_id, wearer_id)
        return device_id, wearer_id

    async def crime(self, reference: str, connection: Connection | None = None, **changes: object) -> UUID:
        """Publish a version: a burglary at the place from 11:55 to 12:05, changed as said."""
        if connection is None:
            async with self.pool.acquire() as c, c.transaction():
                return await self.crime(reference, c, **changes)
        incident_id = identity.incident_id("Kent", reference)
        name = str(changes.pop("profile", "radius-100m"))
        profile = (await find_newest(connection, [name]))[name]
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('test.publish', 0))")
        version = await connection.fetchval(
            "INSERT INTO incident (incident_id, force_id, reference, latest_version) VALUES ($1, $2, $3, 1) "
            "ON CONFLICT (incident_id) DO UPDATE SET latest_version = incident.latest_version + 1 "
            "RETURNING latest_version",
            incident_id,
            self.force_id,
            reference,
        )
        values = {
            "offence": "BIAD",
            "from_s": -300,
            "to_s": 300,
            "north_m": 0.0,
            "is_withdrawn": False,
            "position_r95_m": None,
            **changes,
        }
        await connection.execute(
            "INSERT INTO incident_version (incident_id, version, publish_seq, offence, from_at, to_at, lon_deg, "
            "lat_deg, is_withdrawn, changed, profile_id, position_r95_m) "
            "VALUES ($1, $2, nextval('incident_publish_seq'), $3, $4, $5, $6, $7, $8, '{}', $9, $10)",
            incident_id,
            version,
            values["offence"],
            NOON + timedelta(seconds=float(str(values["from_s"]))),
            NOON + timedelta(seconds=float(str(values["to_s"]))),
            LON,
            LAT + float(str(values["north_m"])) * METRE_NORTH_DEG,
            values["is_withdrawn"],
            profile.profile_id,
            values["position_r95_m"],
        )
        await connection.execute("INSERT INTO arrival (incident_id, version) VALUES ($1, $2)", incident_id, version)
        return incident_id

    async def pings(
        self, device_id: int, *fixes: Fix, connection: Connection | None = None, accuracy_m: float | None = None
    ) -> None:
        """Store a batch of new pings and put it into the inbox; by GPS if they state an accuracy."""
        if connection is None:
            async with self.pool.acquire() as c, c.transaction():
                await self.pings(device_id, *fixes, connection=c, accuracy_m=accuracy_m)
                return
        rows = np.zeros(len(fixes), dtype=PING)
        rows["device_id"] = device_id
        noon_us = int(NOON.timestamp()) * 1_000_000
        rows["fixed_at_us"] = [noon_us + round(f.seconds * 1e6) for f in fixes]
        rows["lon_e7"] = round(LON * 1e7)
        rows["lat_e7"] = [round((LAT + f.north_m * METRE_NORTH_DEG) * 1e7) for f in fixes]
        batch_id = await connection.fetchval(
            "INSERT INTO ping_batch (organisation_id, content_sha256, accepted, duplicates, conflicts, rejected, "
            "payload) VALUES ($1, $2, $3, 0, 0, 0, $4) RETURNING batch_id",
            self.contractor_id,
            bytes(32),
            len(fixes),
            pack(rows),
        )
        await connection.executemany(
            "INSERT INTO ping VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            [
                (
                    device_id,
                    NOON + timedelta(seconds=f.seconds),
                    0 if accuracy_m is None else 1,
                    int(r["lon_e7"]),
                    int(r["lat_e7"]),
                    -1 if accuracy_m is None else round(accuracy_m * 100),
                    -1,
                    -1,
                    batch_id,
                )
                for f, r in zip(fixes, rows, strict=True)
            ],
        )

    async def touch(self, *touched: Touch) -> None:
        """Say that something has changed of wearers, as what stores it does."""
        async with self.pool.acquire() as c, c.transaction():
            await touch_wearers(c, list(touched), "fittings")

    async def join(self) -> None:
        """Run the first stage until nothing waits for it."""
        while (
            await join_arrivals(self.pool, self.arrivals)
            + await join_rejoins(self.pool, self.rejoins)
            + await join_batches(self.pool, self.batches)
        ):
            pass

    async def evaluate(self) -> None:
        """Run the second stage until nothing waits for it, and place what it raised on the stream."""
        while await evaluate_due(self.pool, self.run_id):
            pass
        await dispatch(self.pool)

    async def settle(self) -> None:
        await self.join()
        await self.evaluate()

    async def matches(self) -> dict[tuple[str, str], int]:
        """Live matches: (incident, wearer) and the number of pings inside."""
        rows = await self.pool.fetch(
            "SELECT i.reference, w.reference AS wearer, m.n_pings FROM match m "
            "JOIN incident i USING (incident_id) JOIN wearer w USING (wearer_id) WHERE is_live"
        )
        return {(r["reference"], r["wearer"]): r["n_pings"] for r in rows}

    async def alerts(self) -> dict[tuple[str, str], tuple[str, int]]:
        """Alerts: (incident, wearer) to state and revision."""
        rows = await self.pool.fetch(
            "SELECT i.reference, w.reference AS wearer, a.state, a.revision FROM alert a "
            "JOIN incident i USING (incident_id) JOIN wearer w USING (wearer_id)"
        )
        return {(r["reference"], r["wearer"]): (r["state"], r["revision"]) for r in rows}

    async def revisions(self) -> list[tuple[str, str]]:
        """Kind and reason of every alert revision, in stream order."""
        rows = await self.pool.fetch(
            "SELECT r.kind, r.why FROM outbox o JOIN alert_revision r USING (alert_id, revision) ORDER BY o.position"
        )
        return [(r["kind"], r["why"]) for r in rows]
