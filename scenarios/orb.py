"""What users see when ORB Core cannot be reached over IIOP."""

from chaos import (
    Answers,
    BreakerOpens,
    Crosses,
    Down,
    Experiment,
    FailuresUntilOpen,
    Faster,
    Mutation,
    OpenLoop,
    ProbesOnly,
    Recovers,
    Unreachable,
    WhileOpen,
    Window,
)
from scenarios.traffic import native_reads

EDGE = "widget-core.orb-core"

behind_the_proxy = Experiment(
    id="ORB-06",
    title="CORBA traffic is really behind the proxy",
    hypothesis="The caller holds a connection to the proxy, and with the proxy down no call reaches ORB Core: the "
    "references that it publishes carry the proxy's address.",
    workloads=(OpenLoop(plan=native_reads, rate=10),),
    faults=(Window(fault=Down(), on=EDGE, duration_s=2),),
    checkers=(Crosses(edge=EDGE), Unreachable(operation="native"), Recovers(operation="native", within_s=2.0)),
    mutations=(Mutation(off="orb-core.ior.publish_proxy", caught_by=Unreachable),),
    self_check=True,
)

refused = Experiment(
    id="ORB-01",
    title="ORB Core refuses connections",
    hypothesis="The breaker opens after at most 5 failures and within 1 s; meanwhile the last known native view is "
    "shown, marked stale, or 503 with Retry-After, p99 under 50 ms; only probes go out.",
    workloads=(OpenLoop(plan=native_reads, rate=20),),
    faults=(Window(fault=Down(), on=EDGE, duration_s=6),),
    checkers=(
        BreakerOpens(edge=EDGE, within_s=1.0),
        FailuresUntilOpen(edge=EDGE, at_most=5),
        Answers(operation="native", statuses={200, 503}, during=WhileOpen(EDGE)),
        Unreachable(operation="native"),
        Faster(operation="native", below_ms=50, during=WhileOpen(EDGE)),
        ProbesOnly(edge=EDGE),
        Recovers(operation="native", within_s=2.0),
    ),
    mutations=(Mutation(off="widget-core.orb-core.breaker", caught_by=BreakerOpens),),
)
