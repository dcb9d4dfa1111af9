"""What a safeguard does is seen in the metrics, from the first scrape on."""

import importlib

import pytest

from services.web.environment import Environment

EVERYWHERE = {"ingress_in_flight", "ingress_queued", "ingress_shed_total"}
EDGES = {
    "resilience_breaker_state",
    "resilience_calls_total",
    "resilience_attempts_total",
    "resilience_retries_total",
    "resilience_retries_refused_total",
    "resilience_bulkhead_in_use",
    "resilience_bulkhead_rejected_total",
    "pool_connections_in_use",
}
OWN = {
    "gateway": {
        "rate_limit_requests_refused_total",
        "rate_limit_requests_local_total",
        "rate_limit_logins_refused_total",
        "revocations_age_seconds",
        "jwks_fetches_total",
    },
    "widget_core": {
        "idempotency_replays_total",
        "if_match_refused_total",
        "cache_singleflight_joined_total",
        "cache_fallthrough_refused_total",
        "cache_owed",
        "outbox_delivered_total",
        "reconcile_repaired_total",
        "reconcile_orphans_total",
        "jwks_fetches_total",
    },
    "security": {
        "refresh_reuses_total",
        "logins_failed_total",
        "login_bulkhead_refused_total",
        "purged_total",
    },
}


@pytest.mark.parametrize("service", OWN)
def test_every_safeguard_is_seen(service, run):
    """Each has its metric in the first scrape, before anything has happened."""
    built = importlib.import_module(f"services.{service}.main").build(Environment({"SERVICE_PROFILE": "lab"}))
    text = []

    async def send(message):
        text.append(message.get("body", b"").decode())

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/metrics", "raw_path": b"/metrics", "query_string": b""}
    run(built.door({**scope, "headers": [], "http_version": "1.1", "scheme": "http"}, receive, send))
    shown = {line.partition("{")[0].partition(" ")[0] for line in "".join(text).splitlines()}
    assert EVERYWHERE | EDGES | OWN[service] <= shown
