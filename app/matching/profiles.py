"""Profiles in the database: every version that was ever used, so that an old match can be computed again."""

from typing import NamedTuple

from app.db import Connection
from matcher.profile import BUILT_IN, Profile, profile_from

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('trailmatch.profile', 0))"
INSERT = """
INSERT INTO profile (name, version, settings, settings_sha256)
SELECT $1, coalesce(max(version), 0) + 1, $2, $3 FROM profile WHERE name = $1
ON CONFLICT (name, settings_sha256) DO NOTHING
"""


async def publish_profile(connection: Connection, profile: Profile) -> None:
    """Make a profile the newest version of its name; equal settings make no new version."""
    async with connection.transaction():
        await connection.execute(LOCK)
        await connection.execute(INSERT, profile.name, profile.settings(), profile.sha256())


async def publish_built_in(connection: Connection) -> None:
    """Publish the profiles that this version comes with."""
    for profile in BUILT_IN:
        await publish_profile(connection, profile)


class StoredProfile(NamedTuple):
    """A profile and where it is kept."""

    profile_id: int
    version: int
    profile: Profile


FIND_NEWEST = """
SELECT DISTINCT ON (name) profile_id, name, version, settings FROM profile
WHERE name = ANY($1::text[]) ORDER BY name, version DESC
"""


async def find_newest(connection: Connection, names: list[str]) -> dict[str, StoredProfile]:
    """Give the newest version of each name that is known."""
    rows = await connection.fetch(FIND_NEWEST, names)
    return {
        row["name"]: StoredProfile(row["profile_id"], row["version"], profile_from(row["name"], row["settings"]))
        for row in rows
    }


NAMES = "SELECT DISTINCT name FROM profile ORDER BY name"


async def list_names(connection: Connection) -> list[str]:
    """Give the names of all profiles, in alphabetical order."""
    return [row["name"] for row in await connection.fetch(NAMES)]


FIND = "SELECT profile_id, name, version, settings FROM profile WHERE profile_id = ANY($1::bigint[])"


async def find_profiles(connection: Connection, profile_ids: list[int]) -> dict[int, StoredProfile]:
    """Give profiles by id."""
    rows = await connection.fetch(FIND, profile_ids)
    return {
        row["profile_id"]: StoredProfile(row["profile_id"], row["version"], profile_from(row["name"], row["settings"]))
        for row in rows
    }
