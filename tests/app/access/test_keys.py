import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.access.keys import create_key, find_viewer, is_still_valid, list_keys, revoke_key
from app.access.organisations import find_or_create_organisation
from app.db import Connection, Pool
from app.errors import NotSignedIn


@pytest.fixture
async def met(connection: Connection) -> int:
    return await find_or_create_organisation(connection, "met", "force", "Metropolitan")


async def test_a_key_stands_for_its_organisation_and_its_scopes(connection: Connection, met: int) -> None:
    key = await create_key(connection, met, {"incidents:read", "matches:read"}, "label")
    viewer = await find_viewer(connection, key, "request")
    assert (viewer.organisation_id, viewer.organisation, viewer.kind) == (met, "met", "force")
    assert viewer.scopes == {"incidents:read", "matches:read"}
    assert viewer.request_id == "request"
    assert await is_still_valid(connection, viewer)


async def test_the_key_itself_is_nowhere_in_the_database(connection: Connection, met: int) -> None:
    key = await create_key(connection, met, {"admin"}, "label")
    row = await connection.fetchrow("SELECT * FROM api_key")
    assert row is not None
    assert key.split("_")[2] not in str(dict(row))
    assert len(row["secret_sha256"]) == 32


async def test_a_key_that_is_not_exact_is_refused(connection: Connection, met: int) -> None:
    key = await create_key(connection, met, {"admin"}, "label")
    for spoilt in (key[:-1] + "!", key + "0", key.upper(), key.replace("_", "-"), "tm__", ""):
        with pytest.raises(NotSignedIn):
            await find_viewer(connection, spoilt)


async def test_one_keys_prefix_with_another_keys_secret_is_refused(connection: Connection, met: int) -> None:
    first, second = [(await create_key(connection, met, {"admin"}, "label")).split("_") for _ in range(2)]
    with pytest.raises(NotSignedIn):
        await find_viewer(connection, f"tm_{first[1]}_{second[2]}")


async def test_a_key_expires(connection: Connection, met: int) -> None:
    key = await create_key(connection, met, {"admin"}, "label", datetime.now(UTC) + timedelta(days=1))
    viewer = await find_viewer(connection, key)
    await connection.execute("UPDATE api_key SET expires_at = now() - interval '1 microsecond'")
    with pytest.raises(NotSignedIn):
        await find_viewer(connection, key)
    assert not await is_still_valid(connection, viewer)


async def test_a_revoked_key_is_refused_and_cannot_be_revoked_again(connection: Connection, met: int) -> None:
    key = await create_key(connection, met, {"admin"}, "label")
    viewer = await find_viewer(connection, key)
    await revoke_key(connection, key.split("_")[1])
    with pytest.raises(NotSignedIn):
        await find_viewer(connection, key)
    assert not await is_still_valid(connection, viewer)
    with pytest.raises(ValueError, match="no key that is still good"):
        await revoke_key(connection, key.split("_")[1])


@pytest.mark.parametrize(
    ("scopes", "days", "words"),
    [(set(), 1, "at least one scope"), ({"admin", "root"}, 1, "unknown scope root"), ({"admin"}, -1, "expired")],
)
async def test_a_key_that_could_do_nothing_or_the_unknown_is_not_made(
    connection: Connection, met: int, scopes: set[str], days: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        await create_key(connection, met, scopes, "label", datetime.now(UTC) + timedelta(days=days))


async def test_a_list_of_keys_holds_no_secret(connection: Connection, met: int) -> None:
    key = await create_key(connection, met, {"admin"}, "label")
    [listed] = await list_keys(connection)
    assert (listed["prefix"], listed["organisation"], listed["label"]) == (key.split("_")[1], "met", "label")
    assert "secret_sha256" not in listed


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("met", "contractor", "is a force, not a contractor"),
        ("kent", None, "give its kind"),
        ("kent", "army", "no kind"),
        ("a b", "force", "no code"),
        ("", "force", "no code"),
    ],
)
async def test_an_organisation_is_not_made_of_nothing(
    connection: Connection, met: int, code: str, kind: str | None, words: str
) -> None:
    assert met
    with pytest.raises(ValueError, match=words):
        await find_or_create_organisation(connection, code, kind, None)


async def test_an_organisation_made_by_two_at_once_is_one(pool: Pool) -> None:
    async with pool.acquire() as first, pool.acquire() as second:
        transaction = first.transaction()
        await transaction.start()
        made = await find_or_create_organisation(first, "met", "force", None)
        task = asyncio.create_task(find_or_create_organisation(second, "met", "force", None))
        await asyncio.sleep(0.05)  # for it to find nothing, and to wait for the first
        await transaction.commit()
        assert await task == made
