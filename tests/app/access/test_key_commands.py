"""The commands as they are run: a process, its output and its exit code."""

import asyncio
import json
import os
import sys

from app.access.keys import find_viewer
from app.db import Connection


async def _trailmatch(database_url: str, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": database_url},
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_key_is_printed_once_and_works(database_url: str, connection: Connection) -> None:
    arguments = ["key", "create", "--organisation", "met", "--kind", "force"]
    code, out, err = await _trailmatch(
        database_url, *arguments, "--scope", "incidents:read", "--scope", "incidents:write", "--expires-days", "30"
    )
    assert code == 0, err
    viewer = await find_viewer(connection, out.strip())
    assert viewer.organisation == "met"
    assert viewer.scopes == {"incidents:read", "incidents:write"}
    assert "cannot be shown again" in err
    listed = await _trailmatch(database_url, "key", "list", "--json")
    assert out.strip().split("_")[2] not in listed[1]
    assert json.loads(listed[1])["keys"][0]["prefix"] == out.split("_")[1]
    assert (await _trailmatch(database_url, "key", "revoke", out.split("_")[1]))[0] == 0
    events = await connection.fetch("SELECT action, subject, organisation_id FROM audit_event ORDER BY audit_event_id")
    assert [event["action"] for event in events] == ["keys.create", "keys.list", "keys.revoke"]
    assert out.strip().split("_")[2] not in str(events)
    assert {event["organisation_id"] for event in events} == {None}


async def test_json_gives_the_key_in_one_object(database_url: str, connection: Connection) -> None:
    arguments = ["key", "create", "--organisation", "gps", "--kind", "contractor", "--scope", "pings:write", "--json"]
    code, out, _ = await _trailmatch(database_url, *arguments)
    assert code == 0
    assert (await find_viewer(connection, json.loads(out)["key"])).kind == "contractor"


async def test_what_is_refused_is_one_line_and_exit_1(database_url: str) -> None:
    code, out, err = await _trailmatch(database_url, "key", "create", "--organisation", "met", "--scope", "admin")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "trailmatch: there is no organisation 'met'; give its kind to make it: contractor, force, probation, operator"
    ]


async def test_wrong_usage_is_exit_2(database_url: str) -> None:
    assert (await _trailmatch(database_url, "key", "create"))[0] == 2


async def test_a_server_without_the_schema_is_left_alone_and_the_command_named(empty_database_url: str) -> None:
    code, _, err = await _trailmatch(empty_database_url, "key", "list")
    assert code == 1
    assert err.strip().endswith("run: trailmatch db migrate")
