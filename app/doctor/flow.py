"""What the doctor sees of the flow: what waits, what failed, what tags and feeds do not send."""

from datetime import UTC, datetime, timedelta
from typing import Final

from app.db import Connection
from app.doctor.finding import Finding, doubtful, ill, well
from app.inbox import count_inbox
from app.matching.profiles import find_newest, list_names
from app.settings import Settings

_SLOW_S: Final = 10.0
_STUCK_S: Final = 300.0


async def examine_flow(connection: Connection, settings: Settings) -> list[Finding]:
    """Look at what passes through; needs the whole schema."""
    return [
        await _waiting(connection),
        await _failing(connection),
        await _profile(connection, settings),
        await _keys(connection),
        await _silent(connection),
        await _unassigned(connection),
        await _rejected(connection),
        await _sealing(connection, settings),
        await _endpoints(connection),
        await _delivering(connection),
        await _channels(connection, settings),
    ]


async def _waiting(connection: Connection) -> Finding:
    inbox = await count_inbox(connection)
    parts = [f"{waiting.n:,} {kind}" for kind, waiting in inbox._asdict().items() if waiting.n]
    if not parts:
        return well("matcher", "nothing waits")
    found = f"{', '.join(parts)} waiting, the oldest for {inbox.oldest_s:,.0f} s"
    if inbox.oldest_s > _STUCK_S:
        return ill("matcher", found, "Is a matcher running? Start `trailmatch worker`. docs/operating.md, “Lag”.")
    if inbox.oldest_s > _SLOW_S:
        return doubtful("matcher", found, "It lags. Start one more `trailmatch worker`. docs/operating.md, “Lag”.")
    return well("matcher", found)


FAILING = """
SELECT count(*) AS n, max(attempts) AS attempts, min(last_error) AS error FROM due WHERE last_error IS NOT NULL
"""


async def _failing(connection: Connection) -> Finding:
    row = await connection.fetchrow(FAILING)
    assert row is not None
    if not row["n"]:
        return well("evaluation", "no pair fails")
    return ill(
        "evaluation",
        f"{row['n']:,} pairs fail, one {row['attempts']} times: {row['error']}",
        "They are tried again for ever, and lost to nobody; send the error to whoever keeps this program.",
    )


async def _profile(connection: Connection, settings: Settings) -> Finding:
    if settings.default_profile in await find_newest(connection, [settings.default_profile]):
        return well("default profile", settings.default_profile)
    if not (known := await list_names(connection)):
        return doubtful("default profile", "no profile is published yet", "Start the service once: trailmatch serve")
    return ill(
        "default profile",
        f"there is no {settings.default_profile!r}",
        f"Set TRAILMATCH_DEFAULT_PROFILE to one of these: {', '.join(known)}",
    )


KEYS = """
SELECT count(*) FILTER (WHERE expires_at IS NULL OR expires_at > now()) AS valid,
    count(*) FILTER (WHERE expires_at BETWEEN now() AND now() + interval '14 days') AS expiring,
    min(prefix) FILTER (WHERE expires_at BETWEEN now() AND now() + interval '14 days') AS prefix
FROM api_key WHERE revoked_at IS NULL
"""


async def _keys(connection: Connection) -> Finding:
    row = await connection.fetchrow(KEYS)
    assert row is not None
    if not row["valid"]:
        return doubtful("keys", "none is valid: nobody can call the API", "Make one: trailmatch key create --help")
    if row["expiring"]:
        return doubtful(
            "keys",
            f"{row['expiring']} of {row['valid']} expire within 14 days, {row['prefix']} among them",
            "Make new ones and hand them over before that: trailmatch key list",
        )
    return well("keys", f"{row['valid']} valid")


# Partitions are pruned while this runs, so each device costs one look into today's and yesterday's.
SILENT = """
SELECT count(*) AS fitted, count(*) FILTER (WHERE NOT EXISTS (
    SELECT FROM ping WHERE ping.device_id = worn.device_id AND ping.fixed_at > now() - interval '2 hours'
)) AS silent
FROM effective_activation AS worn WHERE worn.to_at = 'infinity' AND worn.from_at < now() - interval '2 hours'
"""


async def _silent(connection: Connection) -> Finding:
    row = await connection.fetchrow(SILENT)
    assert row is not None
    fitted, silent = row["fitted"], row["silent"]
    found = f"{silent:,} of {fitted:,} that are worn sent nothing for two hours"
    if fitted and silent == fitted:
        return ill("tags", found, "No feed comes in: ask the contractor, and see GET /v1/pings/rejected.")
    if silent * 10 > fitted:
        return doubtful("tags", found, "More than a tenth: ask the contractor whether a feed is down.")
    return well("tags", found)


UNASSIGNED = """
SELECT count(*) FROM device WHERE first_seen_at > now() - interval '30 days'
    AND NOT EXISTS (SELECT FROM activation WHERE activation.device_id = device.device_id)
"""


async def _unassigned(connection: Connection) -> Finding:
    unassigned = await connection.fetchval(UNASSIGNED)
    if not unassigned:
        return well("fittings", "every tag of the last 30 days was fitted to somebody")
    return doubtful(
        "fittings",
        f"{unassigned:,} tags of the last 30 days were never fitted to anybody",
        "Their pings are stored and matched as soon as the contractor sends the fitting: POST /v1/activations.",
    )


REJECTED = """
SELECT count(*) AS n, count(DISTINCT organisation_id) AS organisations, mode() WITHIN GROUP (ORDER BY code) AS code
FROM ping_reject WHERE retried_at IS NULL AND rejected_at > now() - interval '1 day'
"""


async def _rejected(connection: Connection) -> Finding:
    row = await connection.fetchrow(REJECTED)
    assert row is not None
    if not row["n"]:
        return well("rejected pings", "none in a day")
    return doubtful(
        "rejected pings",
        f"{row['n']:,} in a day, of {row['organisations']} organisations, most for {row['code']}",
        "They are kept: GET /v1/pings/rejected says what was wrong; trailmatch pings retry sends them again.",
    )


OLDEST_MARK = "SELECT min(hour_at) FROM dirty_hour"
# What comes late is sealed with the next round; so much behind is more than a busy minute.
_BEHIND: Final = timedelta(hours=6)


async def _sealing(connection: Connection, settings: Settings) -> Finding:
    oldest = await connection.fetchval(OLDEST_MARK)
    due_at = datetime.now(UTC) - timedelta(hours=1 + settings.seal_after_hours) - _BEHIND
    if oldest is None or oldest > due_at:
        return well("trail store", "closed hours are sealed")
    return doubtful(
        "trail store",
        f"hours since {oldest:%Y-%m-%d %H:%M} UTC are not sealed yet",
        "Their rows take nine times the room. Does a matcher run? By hand: trailmatch trails seal",
    )


DISABLED = "SELECT count(*) FROM endpoint WHERE disabled_at IS NOT NULL AND deleted_at IS NULL"


async def _endpoints(connection: Connection) -> Finding:
    disabled = await connection.fetchval(DISABLED)
    if not disabled:
        return well("endpoints", "none is disabled")
    return doubtful(
        "endpoints",
        f"{disabled} disabled: their receivers are told nothing, what is for them is kept",
        "See why: trailmatch endpoint list --organisation CODE",
    )


DELIVERING = """
SELECT count(*) AS n, coalesce(extract(epoch FROM now() - min(d.due_at)), 0)::float8 AS oldest_s
FROM delivery AS d LEFT JOIN endpoint AS e USING (endpoint_id)
WHERE d.delivered_at IS NULL AND d.cancelled_at IS NULL AND d.due_at < now()
    AND e.disabled_at IS NULL AND e.deleted_at IS NULL
"""
_UNDELIVERED_S: Final = 3_600.0


async def _delivering(connection: Connection) -> Finding:
    row = await connection.fetchrow(DELIVERING)
    assert row is not None
    if row["oldest_s"] <= _UNDELIVERED_S:
        return well("deliveries", f"{row['n']} on their way" if row["n"] else "everything is delivered")
    return doubtful(
        "deliveries",
        f"{row['n']} not acknowledged, the oldest for {row['oldest_s'] / 3_600:.0f} h",
        "An endpoint or the mail relay does not answer; it is tried again. docs/operating.md, “Failed deliveries”.",
    )


WANTED = """
SELECT (SELECT count(*) FROM endpoint WHERE disabled_at IS NULL AND deleted_at IS NULL) AS endpoints,
    (SELECT count(*) FROM preference WHERE by_email) AS accounts
"""


async def _channels(connection: Connection, settings: Settings) -> Finding:
    row = await connection.fetchrow(WANTED)
    assert row is not None
    # Beside an embedded database one is made.
    if row["endpoints"] and settings.signing_key is None and settings.database_url is not None:
        return ill(
            "channels",
            f"{row['endpoints']} endpoints, and TRAILMATCH_SIGNING_KEY is not set here",
            "Set it, to the same text for every process: without it nothing is signed or sent.",
        )
    if row["accounts"] and settings.smtp_host is None:
        return doubtful(
            "channels",
            f"{row['accounts']} people want mail, and TRAILMATCH_SMTP_HOST is not set here",
            "Set it where a matcher runs: until then their mails wait.",
        )
    return well("channels", "what is asked for can be sent")
