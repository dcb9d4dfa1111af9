"""Put the security service together and serve it."""

import asyncio
import random
import time
from dataclasses import dataclass

from services.drivers.postgres import Postgres, PostgresConfig, pool_policy
from services.drivers.redis_store import RedisConfig, RedisStore
from services.resilience import Deadline, ResilienceError
from services.security.accounts import AccountPolicy, Accounts
from services.security.api import AuthApi, routes
from services.security.keys import KeyRing, Sealer
from services.security.passwords import Passwords
from services.security.publishing import KeyKeeper, RevocationPublisher
from services.security.purging import Purger
from services.security.store import Store
from services.web import application, serving
from services.web.edges import Edges
from services.web.environment import Common, Environment
from services.web.health import Health
from services.web.metrics import Metrics
from services.web.schema import Schema
from services.web.stores import postgres_settings, redis_settings
from services.web.tokens import Verifier

SERVICE = "security"
POSTGRES, REDIS = f"{SERVICE}.postgres", f"{SERVICE}.redis"
LAB_SECRET = "only-for-the-lab"  # noqa: S105 - the production profile does not take it
MIN_SECRET = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the security service is told."""

    common: Common
    postgres: PostgresConfig
    redis: RedisConfig
    key_secret: str
    admin_email: str
    admin_password: str


def main() -> None:
    """Serve until SIGTERM."""
    serving.start(build)


def settings(env: Environment) -> Settings:
    """Read the settings, or raise every problem at once."""
    common = env.common(SERVICE, 8082)
    default = LAB_SECRET if common.profile.name == "lab" else ""
    found = Settings(
        common=common,
        postgres=postgres_settings(env),
        redis=redis_settings(env),
        key_secret=env.secret("SIGNING_KEY_SECRET", default),
        admin_email=env.secret("ADMIN_EMAIL"),
        admin_password=env.secret("ADMIN_PASSWORD"),
    )
    if len(found.key_secret) < MIN_SECRET:
        env.complain(f"SIGNING_KEY_SECRET must have at least {MIN_SECRET} characters")
    env.check()
    return found


def build(env: Environment) -> serving.Service:
    """Return the service, ready to be served."""
    told = settings(env)
    common, profile = told.common, told.common.profile
    on = common.switches.on
    metrics = Metrics()
    edges = Edges(common, metrics)
    store = _store(told, edges, metrics)
    round_s = profile.revocation_sync_s
    redis = RedisStore(told.redis, edges.for_rounds("redis", REDIS, round_s))
    metrics.pool.labels(REDIS).set_function(lambda: float(redis.in_use))
    schema = Schema(told.postgres, store.pool)
    ring = KeyRing()
    keeper = KeyKeeper(store, ring, Sealer(told.key_secret), refresh_s=profile.jwks_refresh_s)
    revoked = Store(edges.for_rounds("postgres", POSTGRES, round_s, f"{POSTGRES}.rounds"), store.pool)
    publisher = RevocationPublisher(revoked, redis, pause_s=round_s)
    policy = AccountPolicy(
        first_role=profile.first_role,
        credentials_only=on(f"{SERVICE}.lockout.credentials_only"),
        reuse_detection=on(f"{SERVICE}.refresh.reuse_detection"),
    )
    passwords = Passwords(profile, bulkhead=on(f"{SERVICE}.login.bulkhead"))
    accounts = Accounts(store, ring, passwords, policy)
    health = Health(
        service=SERVICE, edges=edges.all, notes=lambda: _notes(schema, ring), deep=lambda: _reachable(keeper)
    )
    purger = Purger(store)
    metrics.show("refresh_reuses_total", "Refresh tokens that came twice", lambda: accounts.reuses)
    metrics.show("logins_failed_total", "Wrong passwords", lambda: accounts.failures)
    metrics.show("login_bulkhead_refused_total", "Logins that found no free worker", lambda: passwords.refused)
    metrics.show("purged_total", "Expired tokens and revocations, and old keys, removed", lambda: purger.purged)
    background = [schema.ensure, schema.then(keeper.run), schema.then(publisher.run), schema.then(purger.run)]
    if told.admin_email and told.admin_password:
        background.append(schema.then(lambda: _bootstrap(accounts, told)))
    return application.assemble(
        common,
        health=health,
        metrics=metrics,
        routers=[routes(AuthApi(accounts, ring, keeper, publisher, Verifier(ring)))],
        background=background,
    )


def _store(told: Settings, edges: Edges, metrics: Metrics) -> Store:
    profile, switches = told.common.profile, told.common.switches
    times = profile.edges["postgres"]
    policy = pool_policy(profile.postgres, POSTGRES, times.slots, times.wait_s, switches)
    pool = Postgres(told.postgres, policy, POSTGRES, random.Random())  # noqa: S311 - jitter
    metrics.watch_pool(POSTGRES, pool)
    return Store(edges.make("postgres", POSTGRES), pool, same_tx=switches.on(f"{SERVICE}.audit.same_tx"))


def _notes(schema: Schema, ring: KeyRing) -> list[str]:
    missing = {f"{SERVICE}.schema": schema.ready, f"{SERVICE}.keys": ring.ready}
    return [name for name, ready in missing.items() if not ready]


async def _bootstrap(accounts: Accounts, told: Settings) -> None:
    while True:
        try:
            deadline = Deadline.after(2.0, time.monotonic)
            await accounts.bootstrap(told.admin_email, told.admin_password, deadline)
        except ResilienceError:
            await asyncio.sleep(0.5)
        else:
            return


async def _reachable(keeper: KeyKeeper) -> bool:
    try:
        await keeper.load()
    except ResilienceError:
        return False
    return True
