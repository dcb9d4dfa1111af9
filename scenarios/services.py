"""What users see when one service of the platform cannot reach another."""

from chaos import (
    Amplifies,
    BudgetRefuses,
    Crosses,
    DuringFaults,
    Experiment,
    Mutation,
    OpenLoop,
    Recovers,
    ResetPeer,
    Spaced,
    Succeeds,
    Window,
    flapping,
)
from scenarios.traffic import hot_reads

EDGE = "gateway.widget-core"

resets = Experiment(
    id="S2S-03",
    title="Connections between two services are reset all the time",
    hypothesis="Retries never multiply the load by more than 1.18 in any 4 s, the budget refuses the others, they "
    "do not march in step, and at least 55 % of the requests succeed.",
    workloads=(OpenLoop(plan=hot_reads, rate=40),),
    # A quarter of the calls is reset, each time one or two of them: five failures in a row would open the breaker,
    # and then it is the breaker that says no, and nobody asks for retries.
    faults=(Window(fault=flapping(ResetPeer(), on_ms=20, off_ms=60), on=EDGE, duration_s=7),),
    checkers=(
        Crosses(edge=EDGE),
        # Among 160 calls in 4 s the budget allows 10 retries that were saved up, and 16 that these earn.
        Amplifies(edge=EDGE, at_most=1.18, window_s=4.0),
        BudgetRefuses(edge=EDGE),
        # Of 37 waits, which differ by 0.5 of their mean; all are the same without jitter.
        Spaced(edge=EDGE, mean_ms=(10, 200), spread=0.25),
        Succeeds(operation="read", at_least=0.55, during=DuringFaults()),
        Recovers(operation="read", within_s=2.0),
    ),
    mutations=(
        Mutation(off="gateway.widget-core.retry.budget", caught_by=Amplifies),
        Mutation(off="gateway.widget-core.retry.jitter", caught_by=Spaced),
    ),
)
