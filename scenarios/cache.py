"""What users see when the cache is away, silent or slow."""

from chaos import Blackhole, DuringFaults, Experiment, Faster, OpenLoop, Succeeds, TimeoutsPerOpening, Window
from scenarios.traffic import hot_reads

EDGE = "widget-core.redis"

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
    mutations=("widget-core.redis.attempt_timeout",),
)
