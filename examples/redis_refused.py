"""One experiment: Redis refuses connections for two seconds, and users must not notice."""

from chaos import Down, DuringFaults, Experiment, Faster, Mutation, OpenLoop, Recovers, Succeeds, Window
from scenarios.traffic import hot_reads

redis_refused = Experiment(
    id="EX-1",
    title="Redis refuses connections",
    hypothesis="Every read still succeeds, p99 under 150 ms, and nothing needs a restart.",
    workloads=(OpenLoop(plan=hot_reads, rate=50),),
    faults=(Window(fault=Down(), on="widget-core.redis", duration_s=2),),
    checkers=(
        Succeeds(operation="read", at_least=1.0),
        Faster(operation="read", below_ms=150, during=DuringFaults()),
        Recovers(operation="read", within_s=1.0),
    ),
    mutations=(Mutation(off="widget-core.redis.attempt_timeout", caught_by=Faster),),
)
