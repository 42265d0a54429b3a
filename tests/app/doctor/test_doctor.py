"""The doctor: each fault is planted, and told with what to do; where there is none, all is well."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from app.access.keys import create_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection
from app.doctor.database import examine_database
from app.doctor.finding import Finding, State
from app.doctor.flow import examine_flow
from app.doctor.machine import examine_machine
from app.matching.profiles import publish_built_in
from app.settings import Settings

SETTINGS = Settings()


async def found(connection: Connection, about: str, settings: Settings = SETTINGS) -> Finding:
    findings = await examine_database(connection) + await examine_flow(connection, settings)
    return next(finding for finding in findings if finding.about == about)


async def test_a_fresh_database_with_a_key_has_nothing_ill_in_its_flow(connection: Connection) -> None:
    await publish_built_in(connection)
    organisation = await find_or_create_organisation(connection, "acme", "contractor", None)
    await create_key(connection, organisation, {"pings:write"}, label="")
    findings = await examine_flow(connection, SETTINGS)
    assert [finding for finding in findings if finding.state is not State.WELL] == []


@pytest.mark.parametrize(("seconds", "state"), [(2, State.WELL), (30, State.DOUBTFUL), (3_000, State.ILL)])
async def test_what_waits_is_told_by_how_long_the_oldest_does(
    connection: Connection, seconds: int, state: State
) -> None:
    organisation = await find_or_create_organisation(connection, "acme", "contractor", None)
    await connection.execute(INSERT_BATCH, organisation, timedelta(seconds=seconds))
    finding = await found(connection, "matcher")
    assert finding.state is state
    assert finding.found.startswith("1 batches waiting, the oldest for ")
    assert ("trailmatch worker" in finding.advice) == (state is not State.WELL)


INSERT_BATCH = """
INSERT INTO ping_batch (organisation_id, received_at, content_sha256, accepted, duplicates, conflicts, rejected)
VALUES ($1, now() - $2::interval, '', 0, 0, 0, 0)
"""


async def test_a_default_profile_that_is_not_there_is_named_with_those_that_are(connection: Connection) -> None:
    assert (await found(connection, "default profile")).state is State.DOUBTFUL
    await publish_built_in(connection)
    finding = await found(connection, "default profile", Settings(default_profile="strict"))
    assert (finding.state, finding.found) == (State.ILL, "there is no 'strict'")
    assert "radius-100m" in finding.advice


async def test_keys_that_are_missing_or_about_to_expire_are_told(connection: Connection) -> None:
    assert "none is valid" in (await found(connection, "keys")).found
    organisation = await find_or_create_organisation(connection, "acme", "contractor", None)
    await create_key(connection, organisation, {"pings:write"}, label="", expires_at=datetime.now(UTC) + timedelta(3))
    finding = await found(connection, "keys")
    assert finding.state is State.DOUBTFUL
    assert finding.found.startswith("1 of 1 expire within 14 days, ")
    await create_key(connection, organisation, {"pings:write"}, label="", expires_at=datetime.now(UTC) + timedelta(30))
    await connection.execute("UPDATE api_key SET revoked_at = now() WHERE expires_at < now() + interval '14 days'")
    assert (await found(connection, "keys")).state is State.WELL


WORN = """
WITH worn AS (INSERT INTO wearer (wearer_id, reference) VALUES (gen_random_uuid(), 'W1') RETURNING wearer_id),
tag AS (INSERT INTO device (contractor_id, serial) VALUES ($1, 'T1') RETURNING device_id),
fitted AS (
    INSERT INTO activation (contractor_id, activation_ref, revision, device_id, wearer_id, fitted_at)
    SELECT $1, 'A1', 1, device_id, wearer_id, now() - interval '1 day' FROM tag, worn
    RETURNING device_id, fitted_at, wearer_id
)
INSERT INTO effective_activation
SELECT device_id, fitted_at, 'infinity', wearer_id, $1, 'A1', 1, false FROM fitted
"""


async def test_tags_that_are_worn_and_send_nothing_are_counted(connection: Connection) -> None:
    organisation = await find_or_create_organisation(connection, "acme", "contractor", None)
    await connection.execute(WORN, organisation)
    finding = await found(connection, "tags")
    assert (finding.state, finding.found) == (State.ILL, "1 of 1 that are worn sent nothing for two hours")
    await connection.execute("CREATE TABLE today PARTITION OF ping DEFAULT")
    await connection.execute("INSERT INTO ping SELECT device_id, now(), 1, 0, 0, 0, 0, 0, 0 FROM device")
    assert (await found(connection, "tags")).state is State.WELL


async def test_a_tag_that_was_never_fitted_is_told(connection: Connection) -> None:
    organisation = await find_or_create_organisation(connection, "acme", "contractor", None)
    await connection.execute("INSERT INTO device (contractor_id, serial) VALUES ($1, 'T1')", organisation)
    finding = await found(connection, "fittings")
    assert (finding.state, "POST /v1/activations" in finding.advice) == (State.DOUBTFUL, True)


async def test_rejected_pings_are_told_with_the_commonest_reason(connection: Connection) -> None:
    organisation = await find_or_create_organisation(connection, "acme", "contractor", None)
    await connection.execute(INSERT_BATCH, organisation, timedelta(0))
    for code in ("in_future", "in_future", "null_island"):
        await connection.execute(REJECT, organisation, code)
    finding = await found(connection, "rejected pings")
    assert finding.found == "3 in a day, of 1 organisations, most for in_future"


REJECT = """
INSERT INTO ping_reject (batch_id, organisation_id, line, pointer, code, message, raw)
SELECT batch_id, $1, 1, '', $2, '', '{}' FROM ping_batch
"""


async def test_a_pair_that_fails_again_and_again_is_ill_with_its_error(connection: Connection) -> None:
    await connection.execute("SET session_replication_role = replica")  # no pair has to be there to be due
    await connection.execute(
        "INSERT INTO due SELECT gen_random_uuid(), gen_random_uuid(), 1, now(), now(), now(), 7, 'ValueError: latitude'"
    )
    finding = await found(connection, "evaluation")
    assert (finding.state, finding.found) == (State.ILL, "1 pairs fail, one 7 times: ValueError: latitude")


async def test_hours_that_stay_unsealed_are_told(connection: Connection) -> None:
    await connection.execute("INSERT INTO dirty_hour VALUES (1, date_trunc('hour', now()) - interval '2 days')")
    finding = await found(connection, "trail store")
    assert (finding.state, "trailmatch trails seal" in finding.advice) == (State.DOUBTFUL, True)


async def test_an_endpoint_that_is_disabled_and_one_that_does_not_answer_are_told(connection: Connection) -> None:
    organisation = await find_or_create_organisation(connection, "kent", "force", None)
    await connection.execute(
        "INSERT INTO endpoint (organisation_id, url, label, events) VALUES ($1, 'https://a.example', '', '{}')",
        organisation,
    )
    await connection.execute(
        "INSERT INTO delivery (endpoint_id, created_at, due_at) SELECT endpoint_id, now(), now() - interval '5 hours'"
        " FROM endpoint"
    )
    finding = await found(connection, "deliveries")
    assert (finding.state, finding.found) == (State.DOUBTFUL, "1 not acknowledged, the oldest for 5 h")
    assert (await found(connection, "endpoints")).state is State.WELL
    assert (await found(connection, "channels")).state is State.WELL
    elsewhere = Settings(database_url="postgresql://elsewhere")
    assert "TRAILMATCH_SIGNING_KEY" in (await found(connection, "channels", elsewhere)).found
    await connection.execute("UPDATE endpoint SET disabled_at = now(), disabled_because = 'gone'")
    assert (await found(connection, "deliveries")).state is State.WELL
    assert (await found(connection, "endpoints")).found.startswith("1 disabled")


async def test_a_server_that_may_lose_what_it_acknowledged_is_ill(connection: Connection) -> None:
    await connection.execute("SET synchronous_commit = off")
    finding = await found(connection, "durability")
    assert finding.state is State.ILL
    assert "synchronous_commit" in finding.found


async def test_a_schema_that_lacks_a_migration_is_ill_and_the_flow_is_not_looked_at(
    empty_database_url: str,
) -> None:
    examined = run_doctor(empty_database_url)
    findings = {finding["about"]: finding for finding in json.loads(examined.stdout)["findings"]}
    assert examined.returncode == 1
    assert findings["schema"]["advice"] == "Run: trailmatch db migrate"
    assert "matcher" not in findings


def test_a_database_that_is_away_is_told_and_the_machine_is_looked_at_all_the_same(server_url: str) -> None:
    # A server that refuses: for one that is silent every command waits 15 s.
    parts = urlsplit(server_url)
    examined = run_doctor(urlunsplit(parts._replace(path="/nowhere", query=f"{parts.query}&password=secret")))
    findings = {finding["about"]: finding for finding in json.loads(examined.stdout)["findings"]}
    assert findings["database"]["state"] == "ill"
    assert "disk" in findings
    assert "secret" not in examined.stdout + examined.stderr


def test_a_state_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = examine_machine(Settings(state_dir=tmp_path / "file"))
    cache = next(finding for finding in findings if finding.about == "kernel cache")
    assert cache.state is State.DOUBTFUL


def run_doctor(database_url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "doctor", "--json"],
        env={**os.environ, "DATABASE_URL": database_url},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
