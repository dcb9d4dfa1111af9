"""Start ORB Core: the ORB on one port, HTTP on another, metrics on a third."""

import asyncio
import logging
import os
from dataclasses import dataclass, replace

from services.orb_core import api
from services.orb_core.memory import NativeMemory
from services.orb_core.objects import ObjectStore
from services.orb_core.servant import activate
from services.web import application, serving
from services.web.environment import Address, Common, Environment
from services.web.health import Health
from services.web.metrics import Metrics

SERVICE = "orb-core"
PROBE_S = 0.5


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
    # All is answered. Threads of the ORB that are on their way out would meet the end of Python, and
    # omniORB aborts when they do: leave without it.
    logging.shutdown()
    os._exit(0)


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
    ior, finish = activate(store, told.iiop, told.publish)
    metrics = Metrics()
    metrics.registry.register(api.MemoryCollector(store))
    health = Health(service=SERVICE, edges=(), deep=lambda: _reachable(told.publish))
    served = application.assemble(
        told.common,
        health=health,
        metrics=metrics,
        routers=[api.routes(store, ior, lambda: _reachable(told.iiop))],
        more_addresses=[told.metrics],
    )
    return replace(served, finish=finish)


async def _reachable(address: Address) -> bool:
    """Dial an address. A readiness check may; a liveness check that dials is naive."""
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except OSError:  # a timeout is one too
        return False
    writer.close()
    return True
