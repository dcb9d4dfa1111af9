"""Start ORB Core: the ORB on one port, HTTP on another, metrics on a third."""

from dataclasses import dataclass

from services.orb_core import api
from services.orb_core.memory import NativeMemory
from services.orb_core.objects import ObjectStore
from services.orb_core.servant import activate
from services.web import application, serving
from services.web.environment import Address, Common, Environment
from services.web.health import Health
from services.web.metrics import Metrics

SERVICE = "orb-core"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What ORB Core is told; `publish` is the address that references carry."""

    common: Common
    iiop: Address
    publish: Address
    metrics: Address


def main() -> None:
    """Serve until SIGTERM."""
    serving.start(build)


def settings(env: Environment) -> Settings:
    """Read the settings, or raise every problem at once."""
    common = env.common(SERVICE, 12000)
    iiop = Address(host=common.listen.host, port=env.port("IIOP_PORT", 12683))
    publish = env.address("IIOP_PUBLISH", str(iiop))
    direct = not common.switches.on("orb-core.ior.publish_proxy")
    found = Settings(
        common=common,
        iiop=iiop,
        publish=iiop if direct else publish,
        metrics=Address(host=common.listen.host, port=env.port("METRICS_PORT", 9091)),
    )
    env.check()
    return found


def build(env: Environment) -> serving.Service:
    """Return the service, ready to be served; the ORB runs from here on."""
    told = settings(env)
    on = told.common.switches.on
    store = ObjectStore(NativeMemory(zeroize=on("orb-core.zeroize")), dedup=on("orb-core.dedup"))
    ior = activate(store, told.iiop, told.publish)
    metrics = Metrics()
    metrics.registry.register(api.MemoryCollector(store))
    health = Health(service=SERVICE, edges=())
    return application.assemble(
        told.common,
        health=health,
        metrics=metrics,
        routers=[api.routes(store, ior)],
        more_addresses=[told.metrics],
    )
