"""What users see when the cache is away, slow or all that is left."""

from chaos import (
    Answers,
    Blackhole,
    Crosses,
    Down,
    DuringFaults,
    Experiment,
    Faster,
    Mutation,
    OpenLoop,
    Pause,
    Recovers,
    Register,
    ServesStale,
    Succeeds,
    TimeoutsPerOpening,
    WhileOpen,
    Window,
)
from scenarios.traffic import FIRST_NAME, hot_reads, registers, writes

EDGE = "widget-core.redis"
POSTGRES = "widget-core.postgres"
HARD_LIMIT_S = 30

silent = Experiment(
    id="RD-02",
    title="The cache falls silent",
    hypothesis="Every read still succeeds with p99 under 150 ms; at most 5 calls pay the 50 ms socket time-out each "
    "time before the breaker opens.",
    workloads=(OpenLoop(plan=hot_reads, rate=50),),
    faults=(Window(fault=Blackhole(), on=EDGE, duration_s=6),),
    checkers=(
        Succeeds(operation="read", at_least=1.0, during=DuringFaults()),
        Faster(operation="read", below_ms=150, during=DuringFaults()),
        TimeoutsPerOpening(edge=EDGE, at_most=5),
    ),
    mutations=(Mutation(off="widget-core.redis.attempt_timeout", caught_by=Faster),),
)

record_away = Experiment(
    id="RD-06",
    title="Postgres is away and the cached values grow old",
    hypothesis="At least 99 % of reads are still answered, and once every value is past its soft limit of 2 s at least "
    "99 % of the answers are marked stale and none is older than 30 s; writes are refused with 503.",
    workloads=(OpenLoop(plan=hot_reads, rate=50), OpenLoop(plan=writes, rate=5)),
    faults=(Window(fault=Down(), on=POSTGRES, duration_s=6),),
    checkers=(
        Crosses(edge=POSTGRES),
        Succeeds(operation="read", at_least=0.99, during=DuringFaults()),
        ServesStale(operation="read", at_most_s=HARD_LIMIT_S, at_least=0.99, during=DuringFaults(settle_s=2.2)),
        Answers(operation="create", statuses={503}, during=WhileOpen(POSTGRES)),
        Recovers(operation="create", within_s=2.0),
    ),
    mutations=(Mutation(off="widget-core.cache.stale_if_error", caught_by=Succeeds),),
)

frozen = Experiment(
    id="RD-08",
    title="The cache stands still and goes on",
    hypothesis="While Redis is stopped for everybody every read is answered, p99 under 200 ms, and every rename done: "
    "what is known of revoked tokens stays within its grace of 5 s. What the cache missed or does late meanwhile never "
    "brings back an older value: every widget stays an atomic register.",
    workloads=(OpenLoop(plan=registers, rate=150),),
    # The first ends before the breaker tries again, and what the cache holds from before is younger than its soft
    # limit of 2 s by then. The second outlasts the breaker's second pause of 2 s, and is short enough that revocations
    # published and copied twice a second, at the worst a second old when it begins and ends, are within their grace.
    faults=(
        Window(fault=Pause(), on="redis", duration_s=0.9),
        Window(fault=Pause(), on="redis", start_s=2.4, duration_s=2.5),
    ),
    checkers=(
        Succeeds(operation="read", at_least=0.99, during=DuringFaults()),
        # Who comes before the breaker opens waits for two socket time-outs of 50 ms, and then for Postgres.
        Faster(operation="read", below_ms=200, during=DuringFaults()),
        Register(reads=("read",), writes=("rename",), initial=FIRST_NAME),
        Succeeds(operation="rename", at_least=0.99),
    ),
    # Either is enough: late values that are older do not get in, or give way to what the cache missed.
    mutations=(Mutation(off="widget-core.cache.versioned,widget-core.cache.put_later", caught_by=Register),),
)
