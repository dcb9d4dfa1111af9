"""What users see when Postgres is away, silent or slow."""

from chaos import (
    Answers,
    Blackhole,
    BreakerOpens,
    Crosses,
    Down,
    Experiment,
    FailuresUntilOpen,
    Faster,
    OpenLoop,
    ProbesOnly,
    Recovers,
    WhileOpen,
    Window,
    WorkersReturn,
)
from scenarios.traffic import health, reads, writes

EDGE = "widget-core.postgres"

refused = Experiment(
    id="PG-01",
    title="Postgres refuses connections",
    hypothesis="The breaker opens after at most 5 failures and within 1 s; while it is open every write is answered "
    "503 with Retry-After, p99 under 50 ms, and only probes reach Postgres; writes work again 2 s after its return.",
    workloads=(OpenLoop(plan=reads, rate=40), OpenLoop(plan=writes, rate=10)),
    faults=(Window(fault=Down(), on=EDGE, duration_s=6),),
    checkers=(
        Crosses(edge=EDGE),
        BreakerOpens(edge=EDGE, within_s=1.0),
        FailuresUntilOpen(edge=EDGE, at_most=5),
        Answers(operation="create", statuses={503}, during=WhileOpen(EDGE)),
        Faster(operation="create", below_ms=50, during=WhileOpen(EDGE)),
        ProbesOnly(edge=EDGE),
        Recovers(operation="create", within_s=2.0),
    ),
    mutations=("widget-core.postgres.breaker",),
)

silent = Experiment(
    id="PG-02",
    title="Postgres falls silent on open connections",
    hypothesis="No request takes longer than its 500 ms deadline plus 100 ms; the breaker opens within 1.5 s; workers "
    "come back within 0.6 s; the gateway's health check stays under 50 ms.",
    workloads=(OpenLoop(plan=reads, rate=50), OpenLoop(plan=health, rate=10)),
    faults=(Window(fault=Blackhole(), on=EDGE, duration_s=6),),
    checkers=(
        Crosses(edge=EDGE),
        Faster(operation="read", percent=100, below_ms=600),
        BreakerOpens(edge=EDGE, within_s=1.5),
        WorkersReturn(edge=EDGE, within_s=1.5 + 0.6, at_most=1),
        Faster(operation="health", below_ms=50),
        Recovers(operation="read", within_s=2.0),
    ),
    mutations=("widget-core.postgres.attempt_timeout",),
)
