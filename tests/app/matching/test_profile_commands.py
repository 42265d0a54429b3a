"""`trailmatch profile publish`, as it is run."""

import asyncio
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner, Result

from app.access.organisations import find_or_create_organisation
from app.cli import cli
from app.db import Connection
from app.failure import Failure
from app.matching.profiles import find_newest
from matcher.profile import STANDARD, plain_radius


async def publish(database_url: str, *arguments: str) -> Result:
    """Run the command, in a thread as it has an event loop of its own."""
    return await asyncio.to_thread(
        CliRunner().invoke, cli, ["profile", "publish", *arguments], env={"DATABASE_URL": database_url}
    )


async def test_a_published_profile_is_the_newest_of_its_name_and_equal_settings_make_no_version(
    database_url: str, connection: Connection
) -> None:
    wide = plain_radius("town", 250.0, 900.0)
    for radius_m, version in ((100.0, 1), (250.0, 2), (250.0, 2)):
        done = await publish(database_url, "town", "--radius-m", str(radius_m), "--pad-s", "900", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["version"] == version
    assert json.loads(done.stdout) == {"name": "town", "version": 2, "sha256": wide.sha256().hex()}
    assert (await find_newest(connection, ["town"]))["town"].profile == wide
    assert (await publish(database_url, "town", "--radius-m", "250", "--pad-s", "900")).stdout == (
        "town version 2 is published\n"
    )
    old = await publish(database_url, "town", "--radius-m", "100", "--pad-s", "900")
    assert str(old.exception) == "town had these settings before its version 2; give them another name"


async def test_a_profile_like_standard_says_what_a_contractors_accuracies_mean(
    database_url: str, connection: Connection
) -> None:
    await find_or_create_organisation(connection, "acme", "contractor", None)
    levels = ["--level", "acme gps=0.68", "--level", "wifi = 0.5"]
    done = await publish(database_url, "house", "--like", "standard", *levels)
    assert done.stdout == "house version 1 is published\n"
    accuracy = replace(STANDARD.accuracy, levels={"acme gps": 0.68, "wifi": 0.5})
    assert (await find_newest(connection, ["house"]))["house"].profile == replace(
        STANDARD, name="house", accuracy=accuracy
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["radius-100m"], "radius-100m comes with TrailMatch and is not changed; choose another name"),
        (["Old Town"], "a profile is named by small letters, digits and hyphens, at most 64: not 'Old Town'"),
        (["town", "--radius-m", "0"], "radius"),
        (["town", "--pad-s", "-1"], "pad"),
        (["town", "--level", "gps=0.68"], "a plain radius takes positions as they are: --level needs --like standard"),
        (["town", "--like", "moj-compatible", "--level", "gps=0.68"], "--level needs --like standard"),
        (["town", "--like", "nobody"], "there is no 'nobody' to start from; these come with TrailMatch: radius-100m,"),
        (["town", "--like", "standard", "--radius-m", "50"], "with --like they have no place"),
        (["town", "--like", "standard", "--level", "gps"], "not 'gps'"),
        (["town", "--like", "standard", "--level", "gps=much"], "not 'gps=much'"),
        (["town", "--like", "standard", "--level", "gps=68"], "the level of gps must lie between 0 and 1, not 68.0"),
        (["town", "--like", "standard", "--level", "acme sonar=0.5"], "not of 'acme sonar'"),
        (["town", "--like", "standard", "--level", "acme gps=0.5"], "no contractor has the code acme; there are: none"),
    ],
)
async def test_what_cannot_be_a_profile_is_refused(database_url: str, arguments: list[str], why: str) -> None:
    done = await publish(database_url, *arguments)
    assert isinstance(done.exception, Failure)
    assert why in str(done.exception)


async def test_a_server_without_the_schema_is_left_alone_and_the_command_named(empty_database_url: str) -> None:
    done = await publish(empty_database_url, "town")
    assert str(done.exception).endswith("run: trailmatch db migrate")
