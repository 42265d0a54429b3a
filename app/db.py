"""The connection pool.

How statements run: a request is one transaction, which ends before the answer leaves; nothing is held while arrays are
computed. A connection speaks UTC, gives `timestamptz` as an aware datetime, and `jsonb` as the Python value it stands
for. Rows that come and go by the thousand take `app.columns`, not records.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import msgspec

from app.failure import Failure

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:  # at run time asyncpg's classes take no parameters
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

_APPLICATION = "trailmatch"
_PATIENCE_S = 15.0  # a database that is started together with us may need this long
_PAUSE_S = 0.25
_JSONB_VERSION = b"\x01"
_NEVER_TOO_OLD = 2**62  # queries; a new connection asks a dozen of its own, while somebody waits


@contextlib.asynccontextmanager
async def connect_pool(url: str, max_size: int = 10, *, waits_for_disk: bool = True) -> AsyncIterator[Pool]:
    """Open a pool, keep it open for the block, then close it; connections still in use have 10 s to come back.

    One that does not wait for the disk is for work that is done again when the server loses it (docs/decisions/0014).

    Waits up to 15 s for a server that is not up yet. Raises Failure, without the password, if it stays away or refuses.
    """
    pool = await _reached(url, max_size, set_codecs if waits_for_disk else _set_for_work_done_again)
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), 10)
        except TimeoutError:
            pool.terminate()


@contextlib.asynccontextmanager
async def connect(url: str) -> AsyncIterator[Connection]:
    """One connection, as the pool's are. Waits and fails as `connect_pool` does."""
    async with connect_pool(url, max_size=1) as pool, pool.acquire() as connection:
        yield connection


async def set_codecs(connection: Connection) -> None:
    """Let `jsonb` be what it stands for: None, bool, int, float, str, list, dict; datetimes and UUIDs go in as text."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


DO_NOT_WAIT = "SET synchronous_commit = off"


async def _set_for_work_done_again(connection: Connection) -> None:
    await set_codecs(connection)
    await connection.execute(DO_NOT_WAIT)


# First in a transaction, it lets the commit wait until that, and whatever was committed before it, is on disk: as the
# server is set to wait, but one that is set to acknowledge before all is on its disk is not followed.
WAIT_FOR_DISK = """
SET LOCAL synchronous_commit TO DEFAULT;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') IN ('off', 'local')
"""


async def _leave_as_it_is(_connection: Connection) -> None:
    """Give a connection back as it is: nobody leaves a setting, a cursor or a lock behind that outlives a transaction.

    An open transaction is rolled back and listeners are removed all the same. It saves the round trip of a reset.
    """


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + msgspec.json.encode(value)


def _decode_jsonb(stored: bytes) -> object:
    return msgspec.json.decode(stored[1:])


async def _reached(url: str, max_size: int, prepare: Callable[[Connection], Coroutine[Any, Any, None]]) -> Pool:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=max_size,
                max_queries=_NEVER_TOO_OLD,
                init=prepare,
                reset=_leave_as_it_is,
                server_settings={
                    "application_name": _APPLICATION,
                    "timezone": "UTC",
                    # Our questions take milliseconds, and starting processes that help with them takes longer.
                    "max_parallel_workers_per_gather": "0",
                },
            )
        except (OSError, asyncpg.CannotConnectNowError) as error:  # not there, or still starting
            if time.monotonic() > deadline or isinstance(error, ssl.SSLError):
                raise Failure(f"{_where(url)} does not answer: {error}") from None
        except asyncpg.PostgresError as error:
            raise Failure(f"{_where(url)} refuses: {error}") from None
        except (asyncpg.InterfaceError, ValueError):  # its message may quote a password that holds an unescaped sign
            raise Failure("the database's address is not one: postgresql://user:password@host:port/database") from None
        await asyncio.sleep(_PAUSE_S)


def _where(url: str) -> str:
    """The database in words. Whatever lies before an @ or after a ? may be secret, however the URL is written."""
    host, _, database = url.partition("://")[2].rpartition("@")[2].partition("?")[0].partition("/")
    return f"the database {database!r} at {host or 'its socket'}"
