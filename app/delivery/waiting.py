"""How much waits to be delivered, for whoever watches the service."""

from app import metrics
from app.db import Connection

COUNT_WAITING = """
SELECT CASE WHEN d.endpoint_id IS NULL THEN 'email' ELSE 'webhook' END AS channel, count(*) AS n,
    extract(epoch FROM clock_timestamp() - min(d.created_at) FILTER (
        WHERE e.disabled_at IS NULL AND c.disabled_at IS NULL
    ))::float8 AS oldest_s
FROM delivery d
LEFT JOIN endpoint e ON e.endpoint_id = d.endpoint_id
LEFT JOIN account c ON c.account_id = d.account_id
WHERE d.delivered_at IS NULL AND d.cancelled_at IS NULL
GROUP BY channel
"""
COUNT_ENDPOINTS = """
SELECT CASE WHEN disabled_at IS NOT NULL THEN 'disabled' WHEN failures > 0 THEN 'failing' ELSE 'well' END AS state,
    count(*) AS n
FROM endpoint WHERE deleted_at IS NULL GROUP BY state
"""


async def measure_waiting(connection: Connection) -> None:
    """Set the gauges of deliveries and endpoints. Cost: a scan of what waits, none of what is done."""
    rows = {row["channel"]: row for row in await connection.fetch(COUNT_WAITING)}
    for channel in ("webhook", "email"):
        n, oldest_s = (rows[channel]["n"], rows[channel]["oldest_s"]) if channel in rows else (0, None)
        metrics.DELIVERIES_WAITING.labels(channel).set(n)
        metrics.DELIVERY_OLDEST.labels(channel).set(max(oldest_s or 0.0, 0.0))
    counts = {row["state"]: row["n"] for row in await connection.fetch(COUNT_ENDPOINTS)}
    for state in ("well", "failing", "disabled"):
        metrics.ENDPOINTS.labels(state).set(counts.get(state, 0))
