"""What the whole service reached, as rows of the README's second table."""

from typing import Any, Final

_WAYS: Final = {
    "json": "JSON rows, 5,000 a body",
    "json_columns": "JSON columns, 5,000 a body",
    "arrow": "Arrow, 5,000 a body",
    "small_batch": "JSON rows, 100 a body",
}
COLUMNS: Final = ["what", "reached", "how it was seen"]


def is_of_service(result: dict[str, Any]) -> bool:
    """Whether this is what `ingest`, `latency` or `nation` printed."""
    return any(key in result for key in ("phases", "ping_p50_ms", "times_real_time"))


def service_rows(result: dict[str, Any]) -> list[list[str]]:
    """Give the rows of COLUMNS for one result."""
    seen = f"seed {result['seed']}, {result['cores']} cores, load {result['load_before'][0]} before"
    if "phases" in result:
        return [[_stored(name), *_ingested(phase, seen)] for name, phase in result["phases"].items()]
    if "ping_p50_ms" in result:
        return [
            [
                f"ping acknowledged to its alert on the stream, {result['achieved_pings_per_s']:,} pings a second",
                f"half within {result['ping_p50_ms']} ms, 99 of 100 within {result['ping_p99_ms']} ms",
                f"{result['ping_alerts']} alerts; {seen}",
            ],
            [
                "crime posted to its alert, days of history stored",
                f"half within {result['incident_p50_ms']} ms, 99 of 100 within {result['incident_p99_ms']} ms",
                f"{result['incident_alerts']} alerts; {seen}",
            ],
        ]
    pings, incidents = (result[name] // result["days"] for name in ("pings", "incidents"))
    return [
        [
            f"a country's day, {pings:,} pings and {incidents:,} crimes; {result['days']} played",
            f"{result['times_real_time']} times real time with evidence{_without(result)}",
            f"service at most {result['peak_rss_mb']:.0f} MB, database {result['postgres_peak_rss_mb']:.0f} MB; {seen}",
        ]
    ]


def _stored(name: str) -> str:
    return f"pings stored for good over HTTP while they are matched, {_WAYS[name]}"


def _ingested(phase: dict[str, Any], seen: str) -> list[str]:
    left = f"{phase['backlog_batches']:,} bodies left to match, for {phase['drain_s']:.0f} s"
    return [f"{phase['pings_per_s']:,} a second", f"{phase['sending_s']:.0f} s; {left}; {seen}"]


def _without(result: dict[str, Any]) -> str:
    reached = result.get("times_real_time_without_evidence")
    return "" if reached is None else f", {reached} without"
