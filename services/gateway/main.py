"""Put the gateway together and serve it."""

import time
from dataclasses import dataclass

from services.drivers.http import Call, Upstream
from services.drivers.redis_store import RedisConfig, RedisStore
from services.gateway.api import Forwarder, Gate, routers
from services.gateway.limits import Limit, LimitPolicy
from services.gateway.revocation import Revocations
from services.resilience import Deadline, ResilienceError, Switches
from services.web import application, serving
from services.web.edges import Edges
from services.web.environment import Common, Environment
from services.web.health import Health
from services.web.jwks import verifier
from services.web.metrics import Metrics
from services.web.stores import redis_settings

SERVICE = "gateway"
WIDGETS, SECURITY, REDIS = (f"{SERVICE}.{name}" for name in ("widget-core", "security", "redis"))
MINUTE_S = 60.0
PROBE_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the gateway is told."""

    common: Common
    widgets_url: str
    security_url: str
    redis: RedisConfig
    rate_per_s: float
    logins_per_min: float


def main() -> None:
    """Serve until SIGTERM."""
    serving.start(build)


def settings(env: Environment) -> Settings:
    """Read the settings, or raise every problem at once."""
    common = env.common(SERVICE, 8080)
    found = Settings(
        common=common,
        widgets_url=env.url("WIDGET_CORE_URL", "http://127.0.0.1:8081"),
        security_url=env.url("SECURITY_SERVICE_URL", "http://127.0.0.1:8082"),
        redis=redis_settings(env),
        rate_per_s=env.number("RATE_LIMIT_PER_SECOND", common.profile.rate_per_s),
        logins_per_min=env.number("LOGIN_LIMIT_PER_MINUTE", common.profile.logins_per_min),
    )
    env.check()
    return found


def build(env: Environment) -> serving.Service:
    """Return the service, ready to be served."""
    told = settings(env)
    common, switches = told.common, told.common.switches
    metrics = Metrics()
    edges = Edges(common, metrics)
    widgets, security = (
        Upstream(url, edges.make("http", name), integrity=switches.on(f"{name}.body_integrity"))
        for url, name in ((told.widgets_url, WIDGETS), (told.security_url, SECURITY))
    )
    redis = RedisStore(told.redis, edges.make("redis", REDIS))
    metrics.pool.labels(REDIS).set_function(lambda: float(redis.in_use))
    revocations = _revocations(told, edges)
    verify = verifier(common, security, metrics)
    gate = Gate(
        verify=verify,
        revocations=revocations,
        general=Limit(redis, _limit("general", told.rate_per_s, 1.0, switches)),
        logins=Limit(redis, _limit("logins", told.logins_per_min, MINUTE_S, switches)),
    )
    _show(metrics, gate)
    return application.assemble(
        common,
        health=Health(
            service=SERVICE, edges=edges.all, notes=lambda: _notes(revocations), deep=lambda: _reachable(widgets)
        ),
        metrics=metrics,
        routers=routers(Forwarder(widgets, gate), Forwarder(security, gate)),
        background=[*verify.background, *([revocations.run] if revocations else [])],
    )


def _show(metrics: Metrics, gate: Gate) -> None:
    for limit, name in ((gate.general, "requests"), (gate.logins, "logins")):
        metrics.show(f"rate_limit_{name}_refused_total", "Asked too often", lambda limit=limit: limit.refused)
        metrics.show(f"rate_limit_{name}_local_total", "Counted without Redis", lambda limit=limit: limit.local)
    if gate.revocations:
        metrics.show("revocations_age_seconds", "Since what is known was published", gate.revocations.age_s)


def _notes(revocations: Revocations | None) -> list[str]:
    return [f"{SERVICE}.revocations"] if revocations and revocations.stale() else []


def _revocations(told: Settings, edges: Edges) -> Revocations | None:
    switches, profile = told.common.switches, told.common.profile
    grace = switches.on(f"{SERVICE}.revocation.grace")
    if not switches.on(f"{SERVICE}.revocation"):
        return None
    round_s = profile.revocation_sync_s
    return Revocations(
        RedisStore(told.redis, edges.for_rounds("redis", REDIS, round_s, f"{REDIS}.rounds")),
        pause_s=round_s,
        grace_s=profile.revocation_grace_s,
        enforce_grace=grace,
    )


def _limit(name: str, most: float, window_s: float, switches: Switches) -> LimitPolicy:
    return LimitPolicy(
        name=name,
        most=most,
        window_s=window_s,
        enabled=switches.on(f"{SERVICE}.rate_limit"),
        local_fallback=switches.on(f"{SERVICE}.rate_limit.local_fallback"),
    )


async def _reachable(widgets: Upstream) -> bool:
    """Ask the service behind: what a liveness check should not do."""
    deadline = Deadline.after(PROBE_S, time.monotonic)
    try:
        answer = await widgets.call(Call(method="GET", path="/health/live", headers={}), deadline)
    except ResilienceError:
        return False
    return answer.status == 200  # noqa: PLR2004 - OK
