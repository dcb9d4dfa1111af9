"""The name of every safeguard of the platform, and what it does.

A name is `<edge>.<safeguard>` or `<service>.<safeguard>`. `RESILIENCE_DISABLE` takes these
names; a service whose safeguard is off behaves as a naive one would.
"""

SERVICES = ("gateway", "widget-core", "orb-core", "security")

POSTGRES_EDGES = ("widget-core.postgres", "security.postgres")
REDIS_EDGES = ("gateway.redis", "widget-core.redis", "security.redis")
HTTP_EDGES = ("gateway.widget-core", "gateway.security", "widget-core.security")
ORB_EDGES = ("widget-core.orb-core",)
EDGES = POSTGRES_EDGES + REDIS_EDGES + HTTP_EDGES + ORB_EDGES

EVERY_EDGE = {
    "attempt_timeout": "one attempt ends in time, whatever the network does",
    "breaker": "calls are refused at once while the dependency is down",
    "breaker.backoff": "the pause grows when the dependency relapses",
    "breaker.generation": "a late result of an earlier state counts for nothing",
    "breaker.half_open_permits": "only so many probes at once",
    "breaker.slow_calls": "slow answers open the breaker too",
    "bulkhead": "bounded concurrency, with a bounded wait",
    "deadline": "a total time for all attempts together",
    "deadline.propagate": "the caller's remaining time bounds ours, and is passed on",
    "retry": "failed attempts are repeated where that is safe",
    "retry.budget": "retries are at most a tenth of the calls",
    "retry.classify": "only what is safe to repeat is repeated",
    "retry.honour_retry_after": "nobody returns earlier than asked",
    "retry.jitter": "waits are drawn at random, so that callers do not march in step",
}
POSTGRES_EDGE = {
    "autocommit_reads": "a read is one round trip, not three",
    "bulkhead.split": "bulk work and lists have connections of their own",
    "durable_commit": "a commit is acknowledged once it is in the server's log, whatever the server's default",
    "connect_timeout": "a handshake ends in time",
    "idle_tx_timeout": "the server frees the locks of a client that vanished",
    "lock_timeout": "nobody waits long for a row lock",
    "pool.validate": "a connection that died in the pool is not handed out",
    "reconnect_jitter": "new connections come one after the other after an outage",
    "statement_timeout": "the server abandons a statement nobody waits for",
}
HTTP_EDGE = {
    "body_integrity": "a truncated body is an error, never an answer",
    "breaker.scope": "a quick 503 about someone else's trouble does not open the breaker",
}
ORB_EDGE = {"rebind": "a reference that no longer works is fetched again"}

EVERY_SERVICE = {
    "deadline": "a request has a total time, from its header or by default",
    "deadline_drop": "work whose deadline has passed is not begun",
    "drain": "what is in flight at SIGTERM is finished",
    "errors.sanitized": "error bodies tell nothing of the inside",
    "health.shallow_live": "liveness does not ask the dependencies",
    "ingress_limit": "so many requests at once, the others are shed",
    "queue_bound": "the line at the door is short",
    "warmup": "the ingress limit grows over the first seconds",
}
TOKENS = {
    "verify.jwks_cooldown": "unknown key ids cannot drive a storm of key fetches",
    "verify.local": "tokens are verified with cached public keys",
}
OWN = {
    "gateway": {
        **EVERY_SERVICE,
        **TOKENS,
        "rate_limit": "a client may ask only so often",
        "rate_limit.local_fallback": "a local token bucket while the shared counter is away",
        "revocation": "revoked tokens are refused",
        "revocation.grace": "without fresh revocations, writes are refused after a while",
    },
    "widget-core": {
        **EVERY_SERVICE,
        **TOKENS,
        "ack_after_commit": "a new widget is acknowledged once it is committed",
        "cache": "reads are answered from the cache",
        "cache.fallthrough_cap": "reads that the cache would have answered are rationed",
        "cache.local": "this process remembers the last known values",
        "cache.min_version": "X-Min-Version is honoured",
        "cache.put_later": "what the cache could not take is put once it answers again",
        "cache.singleflight": "one query for many who ask for the same",
        "cache.stale_if_error": "an old value, marked stale, when the source is away",
        "cache.ttl": "cached values expire",
        "cache.versioned": "an older value never replaces a newer one",
        "idempotency": "a key makes a repeated mutation harmless",
        "if_match": "nobody overwrites a version he has not seen",
        "native.fallback": "the last known native view while ORB Core is away",
        "outbox": "what ORB Core must hear is recorded with the change itself",
        "outbox.mark_after_send": "an entry is done only after it was delivered",
        "reconcile": "ORB Core and the record are compared and repaired",
    },
    "orb-core": {
        **EVERY_SERVICE,
        "dedup": "an operation key makes a repeated call harmless",
        "ior.publish_proxy": "published references carry the address to be dialled",
        "zeroize": "critical memory is overwritten, and read back, before release",
    },
    "security": {
        **EVERY_SERVICE,
        "audit.same_tx": "an action and its audit record are one transaction",
        "lockout.credentials_only": "only wrong passwords count towards a lock-out",
        "login.bulkhead": "password hashing has bounded workers of its own",
        "refresh.reuse_detection": "a refresh token used twice revokes its whole family",
    },
}


def catalogue() -> dict[str, str]:
    """Return every name with its description."""
    names = {f"{edge}.{name}": text for edge in EDGES for name, text in EVERY_EDGE.items()}
    for edges, more in ((POSTGRES_EDGES, POSTGRES_EDGE), (HTTP_EDGES, HTTP_EDGE), (ORB_EDGES, ORB_EDGE)):
        names |= {f"{edge}.{name}": text for edge in edges for name, text in more.items()}
    for service, own in OWN.items():
        names |= {f"{service}.{name}": text for name, text in own.items()}
    names.pop("security.postgres.bulkhead.split")
    return names


def of_service(service: str) -> frozenset[str]:
    """Return the names that *service* listens to."""
    return frozenset(name for name in catalogue() if name.startswith(f"{service}."))
