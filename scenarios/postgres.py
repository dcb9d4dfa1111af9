"""What users see when Postgres is away, silent or slow."""

from chaos import (
    Answers,
    Blackhole,
    BreakerOpens,
    Crosses,
    Down,
    DuringFaults,
    Experiment,
    FailuresUntilOpen,
    Faster,
    Mutation,
    OpenLoop,
    OwnKey,
    ProbesOnly,
    Reconnects,
    Recovers,
    ResetPeer,
    Succeeds,
    WhileOpen,
    Window,
    WorkersReturn,
    rearmed,
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
    mutations=(Mutation(off="widget-core.postgres.breaker", caught_by=BreakerOpens),),
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
    mutations=(Mutation(off="widget-core.postgres.attempt_timeout", caught_by=Faster),),
)

resets = Experiment(
    id="PG-06",
    title="Connections to Postgres are reset under way",
    hypothesis="At least 99 % of reads are answered freshly, and none with rows of another request, although at least "
    "20 connections are reset; each is thrown out of the pool, and at most 1.2 calls are repeated for each.",
    workloads=(OpenLoop(plan=reads, rate=60),),
    # The kernel sees every end; the pool counts only those that a read came upon. Five in a row would open the
    # breaker, and rightly so: with a toxicity of 0.3 one run in ten saw that, with half of it twice as often none.
    faults=(Window(fault=rearmed(ResetPeer(toxicity=0.15), every_ms=50, ends=20), on=EDGE, duration_s=5),),
    checkers=(
        Crosses(edge=EDGE),
        Succeeds(operation="read", at_least=0.99, fresh=True, during=DuringFaults()),
        OwnKey(operation="read"),
        Reconnects(edge=EDGE, at_least=6, retries_each=1.2),
        Recovers(operation="read", within_s=1.0),
    ),
    mutations=(Mutation(off="widget-core.postgres.retry", caught_by=Succeeds),),
)
