"""Put Widget Core together and serve it."""

import asyncio
import random
import time
from dataclasses import dataclass

from services.drivers.http import Upstream
from services.drivers.postgres import Postgres, PostgresConfig, pool_policy
from services.drivers.redis_store import RedisConfig, RedisStore
from services.profiles import Profile
from services.resilience import Deadline, Switches, TokenBucket
from services.web import application, serving
from services.web.edges import Edges
from services.web.environment import Address, Common, Environment
from services.web.health import Health
from services.web.jwks import verifier
from services.web.metrics import Metrics
from services.web.schema import Schema
from services.web.stores import postgres_settings, redis_settings
from services.widget_core.api import WidgetApi, routes
from services.widget_core.cache import CachePolicy, WidgetCache
from services.widget_core.native import NativeReader
from services.widget_core.orb import OrbCoreClient
from services.widget_core.reading import Reader, ReadPolicy
from services.widget_core.reconcile import Reconciler
from services.widget_core.record import Lane, Record, RecordPolicy
from services.widget_core.relay import Relay
from services.widget_core.writing import Writer

SERVICE = "widget-core"
POSTGRES, REDIS, ORB, SECURITY = (f"{SERVICE}.{name}" for name in ("postgres", "redis", "orb-core", "security"))
PROBE_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What Widget Core is told."""

    common: Common
    postgres: PostgresConfig
    redis: RedisConfig
    orb_core: Address
    security_url: str


def main() -> None:
    """Serve until SIGTERM."""
    serving.start(build)


def settings(env: Environment) -> Settings:
    """Read the settings, or raise every problem at once."""
    found = Settings(
        common=env.common(SERVICE, 8081),
        postgres=postgres_settings(env),
        redis=redis_settings(env),
        orb_core=env.address("ORB_CORE_IIOP", "127.0.0.1:12683"),
        security_url=env.url("SECURITY_SERVICE_URL", "http://127.0.0.1:8082"),
    )
    env.check()
    return found


def build(env: Environment) -> serving.Service:
    """Return the service, ready to be served."""
    told = settings(env)
    common, switches, profile = told.common, told.common.switches, told.common.profile
    metrics = Metrics()
    edges = Edges(common, metrics)
    record, schema = _record(told, edges, metrics)
    store = RedisStore(told.redis, edges.make("redis", REDIS))
    metrics.pool.labels(REDIS).set_function(lambda: float(store.in_use))
    cache = WidgetCache(store, _cache_policy(profile, switches))
    cap = TokenBucket(rate=profile.fallthrough_per_s, burst=profile.fallthrough_per_s / 4, clock=time.monotonic)
    reader = Reader(record, cache, _read_policy(profile, switches), cap, metrics.served(REDIS))
    orb = OrbCoreClient(told.orb_core, edges.make("orb-core", ORB), time.monotonic, rebind=switches.on(f"{ORB}.rebind"))
    relay = Relay(
        record, orb, reader, pause_s=profile.relay_s, mark_after=switches.on(f"{SERVICE}.outbox.mark_after_send")
    )
    reconciler = Reconciler(record, orb, relay, pause_s=profile.reconcile_s)
    security = Upstream(
        told.security_url, edges.make("http", SECURITY), integrity=switches.on(f"{SECURITY}.body_integrity")
    )
    verify = verifier(common, security, metrics)
    api = WidgetApi(
        record=record,
        reader=reader,
        writer=Writer(record, orb, reader, relay, ack_after_commit=switches.on(f"{SERVICE}.ack_after_commit")),
        native=NativeReader(
            record, orb, hard_ttl_s=profile.hard_ttl_s, fallback=switches.on(f"{SERVICE}.native.fallback")
        ),
        verify=verify,
        if_match=switches.on(f"{SERVICE}.if_match"),
    )
    _show(metrics, record, reader, relay, reconciler)
    metrics.show("cache_owed", "Values that could not be put yet", lambda: len(cache.owed))
    health = Health(
        service=SERVICE,
        edges=edges.all,
        notes=lambda: [] if schema.ready else [f"{SERVICE}.schema"],
        deep=lambda: _reachable(record),
    )
    background = [
        *verify.background,
        schema.ensure,
        schema.then(relay.run),
        schema.then(relay.purge),
        schema.then(record.point.pool.warm),
        lambda: _settle(cache, profile.relay_s),
    ]
    if switches.on(f"{SERVICE}.reconcile"):
        background.append(schema.then(reconciler.run))
    return application.assemble(common, health=health, metrics=metrics, routers=[routes(api)], background=background)


def _record(told: Settings, edges: Edges, metrics: Metrics) -> tuple[Record, Schema]:
    switches, profile = told.common.switches, told.common.profile
    point = _lane(told, edges, metrics, "postgres", POSTGRES)
    split = switches.on(f"{POSTGRES}.bulkhead.split")
    bulk = _lane(told, edges, metrics, "postgres.bulk", f"{POSTGRES}.bulk") if split else point
    policy = RecordPolicy(
        idempotency=switches.on(f"{SERVICE}.idempotency"),
        outbox=switches.on(f"{SERVICE}.outbox"),
        lease_s=max(1.0, profile.edges["orb-core"].total_s * 2),
    )
    return Record(point, bulk, policy), Schema(told.postgres, bulk.pool)


def _lane(told: Settings, edges: Edges, metrics: Metrics, kind: str, label: str) -> Lane:
    profile = told.common.profile
    times = profile.edges[kind]
    edge = edges.make(kind, POSTGRES, label)
    policy = pool_policy(profile.postgres, POSTGRES, times.slots, times.wait_s, told.common.switches)
    pool = Postgres(told.postgres, policy, label, random.Random())  # noqa: S311 - jitter
    metrics.watch_pool(label, pool)
    return Lane(edge=edge, pool=pool)


def _cache_policy(profile: Profile, switches: Switches) -> CachePolicy:
    return CachePolicy(
        hard_ttl_s=profile.hard_ttl_s,
        expire=switches.on(f"{SERVICE}.cache.ttl"),
        versioned=switches.on(f"{SERVICE}.cache.versioned"),
        put_later=switches.on(f"{SERVICE}.cache.put_later"),
    )


def _read_policy(profile: Profile, switches: Switches) -> ReadPolicy:
    def on(safeguard: str) -> bool:
        return switches.on(f"{SERVICE}.cache{safeguard}")

    return ReadPolicy(
        soft_ttl_s=profile.soft_ttl_s,
        hard_ttl_s=profile.hard_ttl_s,
        cache=on(""),
        expire=on(".ttl"),
        local=on(".local"),
        versioned=on(".versioned"),
        stale_if_error=on(".stale_if_error"),
        single_flight=on(".singleflight"),
        capped=on(".fallthrough_cap"),
        min_version=on(".min_version"),
    )


def _show(metrics: Metrics, record: Record, reader: Reader, relay: Relay, reconciler: Reconciler) -> None:
    metrics.show("idempotency_replays_total", "Repeats that were answered from the record", lambda: record.replays)
    metrics.show("if_match_refused_total", "Changes of a version that is not the current one", lambda: record.conflicts)
    metrics.show("cache_singleflight_joined_total", "Reads that shared another's query", lambda: reader.flights.joined)
    metrics.show("cache_fallthrough_refused_total", "Reads past the cache that were refused", lambda: reader.rationed)
    metrics.show("outbox_delivered_total", "Entries that ORB Core was told of", lambda: relay.delivered)
    metrics.show("reconcile_repaired_total", "Native objects that were missing or behind", lambda: reconciler.repaired)
    metrics.show("reconcile_orphans_total", "Native objects of no widget", lambda: reconciler.orphans)


async def _settle(cache: WidgetCache, pause_s: float) -> None:
    while True:
        await asyncio.sleep(pause_s)
        if cache.owed:
            await cache.settle(Deadline.after(1.0, time.monotonic))


async def _reachable(record: Record) -> bool:
    """Ask the database: what a liveness check should not do."""
    try:
        await record.page(
            "-infinity", "00000000-0000-0000-0000-000000000000", 1, Deadline.after(PROBE_S, time.monotonic)
        )
    except Exception:  # noqa: BLE001 - whatever it is, it is not well
        return False
    return True
