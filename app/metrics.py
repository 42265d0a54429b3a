"""What is measured while the service runs, by the names that dashboards and alarms use."""

from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

# What matching and deliveries measure, in whatever process they run; the others are of the service.
OF_WORKERS: Final = CollectorRegistry()
# Both.
OF_ALL: Final = CollectorRegistry(auto_describe=False)
OF_ALL.register(REGISTRY)
OF_ALL.register(OF_WORKERS)

REQUESTS = Histogram("trailmatch_request_seconds", "Time to answer a request", ["method", "route", "status"])

PINGS = Counter("trailmatch_pings_total", "Pings received, by what became of them", ["outcome"])
PING_AGE = Histogram(
    "trailmatch_ping_age_seconds",
    "Age of the newest fix of a batch when it was stored",
    buckets=(1, 5, 15, 60, 120, 300, 900, 3600, 21_600, 86_400, 604_800),
)
BODIES = Gauge("trailmatch_bodies_in_work", "Bodies of pings that are being read, checked and stored")
INGEST_SECONDS = Histogram("trailmatch_ingest_seconds", "Time to store a batch of pings")

INBOX = Gauge("trailmatch_inbox_depth", "What waits for the matcher", ["kind"])
INBOX_AGE = Gauge("trailmatch_inbox_oldest_seconds", "Since when the oldest that waits does", ["kind"])
MATCH_SECONDS = Histogram(
    "trailmatch_match_seconds", "Time of one round of a matcher's stage", ["stage"], registry=OF_WORKERS
)
MATCH_LAG = Histogram(
    "trailmatch_match_lag_seconds",
    "From a pair becoming due to its match being written",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600),
    registry=OF_WORKERS,
)
EVALUATIONS = Counter(
    "trailmatch_evaluations_total", "Pairs evaluated, by what became of them", ["outcome"], registry=OF_WORKERS
)
ALERTS = Counter("trailmatch_alerts_total", "Alert revisions written, by kind", ["kind"], registry=OF_WORKERS)
ALERT_AGE = Histogram(
    "trailmatch_alert_age_seconds",
    "From an alert's revision to its place on the stream",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60),
    registry=OF_WORKERS,
)
STREAM_CLIENTS = Gauge("trailmatch_stream_clients", "Open alert streams")
DELIVERIES = Counter(
    "trailmatch_deliveries_total",
    "Attempts to deliver webhooks and mails, by what came of them",
    ["channel", "outcome"],
    registry=OF_WORKERS,
)
DELIVERY_SECONDS = Histogram(
    "trailmatch_delivery_seconds",
    "Time of one attempt to deliver",
    ["channel"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
    registry=OF_WORKERS,
)
DELIVERY_LAG = Histogram(
    "trailmatch_delivery_lag_seconds",
    "From an event of an alert to its acknowledgement by an endpoint",
    ["channel"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 21_600, 86_400, 259_200),
    registry=OF_WORKERS,
)
DELIVERIES_WAITING = Gauge("trailmatch_deliveries_waiting", "Deliveries not acknowledged yet", ["channel"])
DELIVERY_OLDEST = Gauge(
    "trailmatch_delivery_oldest_seconds", "Since when the oldest delivery that could go out waits", ["channel"]
)
ENDPOINTS = Gauge("trailmatch_endpoints", "Endpoints of webhooks, by how they do", ["state"])
