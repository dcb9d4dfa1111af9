"""Which check belongs to which switch: one line for each name, or for each kind of edge or service."""

from collections.abc import Callable
from functools import partial

from services import safeguards
from tests.conformance.platform.switches import broker, doors, drivers, edges, gateway, keepers, pools, widgets
from tests.conformance.platform.switches.world import World

Check = Callable[[World], bool]
"""Tell whether the safeguard's behaviour is seen."""


def _of(owners, checks) -> dict[str, Check]:
    return {f"{owner}.{name}": partial(check, name=owner) for owner in owners for name, check in checks.items()}


def _own(owner, checks) -> dict[str, Check]:
    return {f"{owner}.{name}": check for name, check in checks.items()}


CHECKS: dict[str, Check] = {
    **_of(safeguards.EDGES, edges.EDGE),
    **_of(set(safeguards.EDGES) - set(safeguards.ORB_EDGES), drivers.SILENT),
    **_of(safeguards.HTTP_EDGES, {**drivers.HTTP, "breaker.scope": edges.breaker_scope}),
    **_of(safeguards.ORB_EDGES, broker.ORB),
    **_of(safeguards.POSTGRES_EDGES, pools.POOL),
    **_of(safeguards.SERVICES, doors.DOOR),
    **_of(["gateway", "widget-core"], gateway.TOKENS),
    **_of(["orb-core"], {"drain": keepers.drain}),
    **_own("gateway", gateway.GATEWAY),
    **_own("widget-core", widgets.WIDGET_CORE),
    **_own("security", keepers.SECURITY),
    **_own("orb-core", keepers.ORB_CORE),
    "widget-core.postgres.bulkhead.split": partial(pools.bulkhead_split, name="widget-core.postgres"),
}
