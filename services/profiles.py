"""The times and limits of the two profiles, and the policy of an edge made from them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from services.resilience import (
    BreakerPolicy,
    BudgetPolicy,
    BulkheadPolicy,
    EdgePolicy,
    IngressPolicy,
    RetryPolicy,
    Switches,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeTimes:
    """What differs between kinds of edges. Times in seconds."""

    total_s: float
    attempt_s: float
    attempts: int
    base_s: float
    cap_s: float
    slots: int
    wait_s: float = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresTimes:
    """What the server and the pool are told. Times in seconds."""

    statement_s: float
    lock_s: float
    idle_tx_s: float
    connect_s: float
    connects_per_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """All times and limits of one way to run the platform. Times in seconds."""

    name: str
    request_s: float
    edges: dict[str, EdgeTimes]
    postgres: PostgresTimes
    breaker: BreakerPolicy
    ingress: IngressPolicy
    soft_ttl_s: float
    hard_ttl_s: float
    fallthrough_per_s: float
    relay_s: float
    reconcile_s: float
    revocation_sync_s: float
    revocation_grace_s: float
    jwks_refresh_s: float
    rate_per_s: float
    logins_per_min: float
    drain_s: float
    argon2_memory_kib: int
    argon2_rounds: int
    first_role: str


LAB = Profile(
    name="lab",
    request_s=1.0,
    edges={
        "postgres": EdgeTimes(total_s=0.5, attempt_s=0.5, attempts=3, base_s=0.05, cap_s=0.4, slots=10),
        "postgres.bulk": EdgeTimes(total_s=2.0, attempt_s=2.0, attempts=3, base_s=0.05, cap_s=0.4, slots=3),
        "redis": EdgeTimes(total_s=0.12, attempt_s=0.05, attempts=2, base_s=0.002, cap_s=0.01, slots=32),
        "orb-core": EdgeTimes(total_s=0.35, attempt_s=0.3, attempts=3, base_s=0.05, cap_s=0.4, slots=5),
        "http": EdgeTimes(total_s=1.0, attempt_s=0.4, attempts=3, base_s=0.05, cap_s=0.4, slots=64),
    },
    postgres=PostgresTimes(statement_s=0.4, lock_s=0.2, idle_tx_s=2.0, connect_s=1.0, connects_per_s=20.0),
    breaker=BreakerPolicy(
        consecutive=5,
        window_s=2.0,
        min_calls=10,
        failure_ratio=0.5,
        slow_s=0.3,
        slow_ratio=0.8,
        open_s=1.0,
        max_open_s=4.0,
        relapse_s=3.0,
        permits=1,
        successes_to_close=2,
    ),
    ingress=IngressPolicy(limit=64, queue=64, wait_s=0.02, warmup_s=1.0),
    soft_ttl_s=2.0,
    hard_ttl_s=30.0,
    fallthrough_per_s=100.0,
    relay_s=0.2,
    reconcile_s=1.0,
    revocation_sync_s=0.5,
    revocation_grace_s=5.0,
    jwks_refresh_s=0.5,
    rate_per_s=1000.0,
    logins_per_min=600.0,
    drain_s=3.0,
    argon2_memory_kib=8 * 1024,
    argon2_rounds=1,
    first_role="editor",
)

PRODUCTION = Profile(
    name="production",
    request_s=5.0,
    edges={
        "postgres": EdgeTimes(total_s=2.0, attempt_s=1.5, attempts=3, base_s=0.05, cap_s=0.5, slots=10),
        "postgres.bulk": EdgeTimes(total_s=5.0, attempt_s=5.0, attempts=2, base_s=0.1, cap_s=1.0, slots=3),
        "redis": EdgeTimes(total_s=0.25, attempt_s=0.1, attempts=2, base_s=0.005, cap_s=0.02, slots=32),
        "orb-core": EdgeTimes(total_s=1.5, attempt_s=1.0, attempts=3, base_s=0.05, cap_s=0.4, slots=8),
        "http": EdgeTimes(total_s=5.0, attempt_s=2.5, attempts=3, base_s=0.1, cap_s=1.0, slots=128),
    },
    postgres=PostgresTimes(statement_s=1.2, lock_s=0.5, idle_tx_s=5.0, connect_s=1.0, connects_per_s=20.0),
    breaker=BreakerPolicy(
        consecutive=5,
        window_s=10.0,
        min_calls=20,
        failure_ratio=0.5,
        slow_s=1.0,
        slow_ratio=0.8,
        open_s=5.0,
        max_open_s=60.0,
        relapse_s=15.0,
        permits=1,
        successes_to_close=2,
    ),
    ingress=IngressPolicy(limit=128, queue=128, wait_s=0.1, warmup_s=5.0),
    soft_ttl_s=10.0,
    hard_ttl_s=300.0,
    fallthrough_per_s=300.0,
    relay_s=1.0,
    reconcile_s=30.0,
    revocation_sync_s=1.0,
    revocation_grace_s=5.0,
    jwks_refresh_s=30.0,
    rate_per_s=50.0,
    logins_per_min=5.0,
    drain_s=10.0,
    argon2_memory_kib=64 * 1024,
    argon2_rounds=3,
    first_role="viewer",
)

PROFILES = {"lab": LAB, "production": PRODUCTION}


def edge_policy(profile: Profile, kind: str, edge: str, switches: Switches, max_open_s: float = math.inf) -> EdgePolicy:
    """Return the policy of *edge*, of one of the kinds in `Profile.edges`.

    max_open_s: what the breaker's pause may grow to, if that is less than in the profile; the first is half of it.
    """
    times = profile.edges[kind]

    def on(safeguard: str) -> bool:
        return switches.on(f"{edge}.{safeguard}")

    return EdgePolicy(
        total_s=times.total_s if on("deadline") else math.inf,
        attempt_s=times.attempt_s if on("attempt_timeout") else math.inf,
        propagate=on("deadline.propagate") and on("deadline"),
        breaker_enabled=on("breaker"),
        ignore_overload=kind == "http" and on("breaker.scope"),
        breaker=_breaker(profile.breaker, max_open_s, on),
        retry=_retry(times, on),
        budget=BudgetPolicy(enabled=on("retry.budget")),
        bulkhead=BulkheadPolicy(limit=times.slots, wait_s=times.wait_s, enabled=on("bulkhead")),
    )


def ingress_policy(profile: Profile, service: str, switches: Switches) -> IngressPolicy:
    """Return the policy at the door of *service*."""
    return replace(
        profile.ingress,
        enabled=switches.on(f"{service}.ingress_limit"),
        bounded=switches.on(f"{service}.queue_bound"),
        deadline_drop=switches.on(f"{service}.deadline_drop"),
        warmup_s=profile.ingress.warmup_s if switches.on(f"{service}.warmup") else 0.0,
    )


def _breaker(base: BreakerPolicy, max_open_s: float, on: Callable[[str], bool]) -> BreakerPolicy:
    return replace(
        base,
        open_s=min(base.open_s, max_open_s / 2),
        max_open_s=min(base.max_open_s, max_open_s),
        slow_calls=on("breaker.slow_calls"),
        half_open_permits=on("breaker.half_open_permits"),
        generations=on("breaker.generation"),
        backoff=on("breaker.backoff"),
    )


def _retry(times: EdgeTimes, on: Callable[[str], bool]) -> RetryPolicy:
    return RetryPolicy(
        attempts=times.attempts,
        base_s=times.base_s,
        cap_s=times.cap_s,
        enabled=on("retry"),
        jitter=on("retry.jitter"),
        classify=on("retry.classify"),
        honour_retry_after=on("retry.honour_retry_after"),
    )
