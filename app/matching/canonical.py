"""The canonical state: what the matcher has found, without anything that the order of arrival has a part in."""

from typing import Any

import asyncpg
import msgspec

from app.db import Connection

MATCHES = """
SELECT m.match_id, m.incident_id, m.wearer_id, m.incident_version, m.verdict, m.evidence,
    encode(p.settings_sha256, 'hex') AS profile_sha256
FROM match m JOIN profile p USING (profile_id)
WHERE m.is_live ORDER BY m.match_id
"""
# The evidence is that of the alert's last revision, what people were told; version and settings are its match's, for a
# new version that changes nothing of the evidence makes no revision.
ALERTS = """
SELECT a.alert_id, a.match_id, a.incident_id, a.wearer_id, m.verdict, r.evidence,
    encode(p.settings_sha256, 'hex') AS profile_sha256
FROM alert a
JOIN alert_revision r USING (alert_id, revision)
JOIN match m USING (match_id)
JOIN profile p ON p.profile_id = m.profile_id
WHERE a.state <> 'withdrawn' ORDER BY a.alert_id
"""


async def read_canonical(connection: Connection) -> bytes:
    """Give all live matches and all alerts that are not withdrawn as JSON; the same inputs give the same bytes.

    Nothing must wait for the matcher. Revision numbers, times, withdrawn alerts and decisions are history, and are left
    out. Read it in a transaction of one snapshot; it takes memory for all of it, about 2 kB a match.
    """
    state = {"matches": await connection.fetch(MATCHES), "alerts": await connection.fetch(ALERTS)}
    return msgspec.json.encode(state, enc_hook=_plain, order="sorted")


def _plain(record: Any) -> dict[str, object]:  # noqa: ANN401 - msgspec hands over whatever it does not know
    assert isinstance(record, asyncpg.Record)
    return dict(record)
