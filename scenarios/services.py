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
    rearmed,
)
from scenarios.traffic import hot_reads

EDGE = "gateway.widget-core"

resets = Experiment(
    id="S2S-03",
    title="Connections between two services are reset all the time",
    hypothesis="Retries never multiply the load by more than 1.2 in any 2 s, the budget refuses the others, they "
    "do not march in step, and at least 55 % of the requests succeed although the breaker may open.",
    workloads=(OpenLoop(plan=hot_reads, rate=60),),
    # At a toxicity of 0.5 five failures in a row come every other second: then it is the breaker that says
    # no (33 to 53 % of the requests succeed), and the budget is hardly asked.
    faults=(Window(fault=rearmed(ResetPeer(toxicity=0.18), every_ms=20), on=EDGE, duration_s=7),),
    checkers=(
        Crosses(edge=EDGE),
        Amplifies(edge=EDGE, at_most=1.2),
        BudgetRefuses(edge=EDGE),
        # Of fifty waits; without jitter two lengths remain, and a spread of about 0.25.
        Spaced(edge=EDGE, mean_ms=(10, 200), spread=0.35),
        Succeeds(operation="read", at_least=0.55, during=DuringFaults()),
        Recovers(operation="read", within_s=2.0),
    ),
    mutations=(
        Mutation(off="gateway.widget-core.retry.budget", caught_by=Amplifies),
        Mutation(off="gateway.widget-core.retry.jitter", caught_by=Spaced),
    ),
)
