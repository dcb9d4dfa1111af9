"""Whether the platform finds its way back by itself once the cause is gone."""

from chaos import (
    Amplifies,
    Experiment,
    Mutation,
    OpenLoop,
    Pause,
    Steady,
    Window,
)
from scenarios.traffic import distant_lists

EDGE = "gateway.widget-core"

# Two lines of defence, and either holds without the other: callers that do not ask again, of which budget
# and breaker each suffice alone, and a short line of live requests before the three connections, of which
# each of the three suffices alone. Wherever there are 64 places (at both doors, and on the gateway's connections)
# they hold about what is served in the 0.4 s that the gateway waits: with one of them the storm sometimes ends.
RETRIES = "gateway.widget-core.retry.budget,gateway.widget-core.breaker"
LINE = "widget-core.postgres.bulkhead,widget-core.postgres.breaker,widget-core.postgres.deadline.propagate"
PLACES = "gateway.ingress_limit,gateway.widget-core.bulkhead,widget-core.ingress_limit"

retry_storm = Experiment(
    id="MET-04",
    title="A service stands still for two seconds at 70 % load",
    hypothesis="Retries do not multiply the load by more than 1.2, and 3 s after the service goes on at least 95 % of "
    "the requests are answered in time, for good: no storm keeps it down.",
    workloads=(OpenLoop(plan=distant_lists, rate=95),),
    faults=(Window(fault=Pause(), on="widget-core", duration_s=2),),
    checkers=(
        Amplifies(edge=EDGE, at_most=1.2),
        Steady(operation="list", at_least=0.95, within_s=3.0),
    ),
    mutations=(
        Mutation(off=RETRIES, caught_by=Amplifies),
        Mutation(off=f"{RETRIES},{LINE},{PLACES}", caught_by=Steady),
    ),
    recovery_s=4.0,
)
