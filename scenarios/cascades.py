"""Whether trouble in one place stays there."""

from chaos import (
    ClosedLoop,
    DuringFaults,
    Experiment,
    Faster,
    InFlight,
    Latency,
    Mutation,
    OpenLoop,
    Sheds,
    Window,
)
from scenarios.traffic import cached_reads, health, writes

# The gateway's limit is the last of several: without those before it, it is the one that holds.
EVERY_LIMIT = (
    "gateway.ingress_limit,gateway.widget-core.bulkhead,gateway.widget-core.breaker,"
    "widget-core.ingress_limit,widget-core.postgres.bulkhead,widget-core.postgres.breaker"
)

slow_postgres = Experiment(
    id="CAS-01",
    title="Postgres answers two seconds late, and two hundred users wait",
    hypothesis="The gateway holds at most 64 requests; writes are refused, four of five within 50 ms; the gateway's "
    "health stays under 100 ms, and so do 95 % of the reads that the cache can answer, from 1 s on.",
    workloads=(
        ClosedLoop(plan=writes, users=200, think_s=(1.0, 1.6)),
        OpenLoop(plan=cached_reads, rate=30),
        OpenLoop(plan=health, rate=30),
    ),
    faults=(Window(fault=Latency(delay_ms=2000), on="widget-core.postgres", duration_s=5),),
    checkers=(
        InFlight(service="gateway", at_most=64),
        # p80: who comes before the breaker opens waits 100 ms for a slot, an eighth of all in five seconds.
        Sheds(operation="create", within_ms=50, percent=80, at_least=100),
        Faster(operation="health", below_ms=100, during=DuringFaults()),
        # p95: whichever read is the breaker's probe waits 0.5 s for Postgres.
        Faster(operation="cached", percent=95, below_ms=100, during=DuringFaults(settle_s=1.0)),
    ),
    mutations=(
        Mutation(off="widget-core.postgres.breaker", caught_by=Sheds),
        Mutation(off=EVERY_LIMIT, caught_by=InFlight),
    ),
    recovery_s=4.0,
)
