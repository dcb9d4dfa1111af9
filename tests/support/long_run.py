"""A synthetic run of five minutes, as large as a real one: 100 requests a second, every service sampled at 10 Hz."""

import random
from collections.abc import Iterator

from chaos.clock import NS_PER_S
from chaos.history import FaultWindow, History, Operation, Outcome, Sample
from chaos.report.run import Happening, Run
from chaos.results.model import Bite, Finding, Result, Verdict
from tests.support.histories import START_NS, ns, op

LENGTH_S = 300
RATE = 100
BROKEN = "widget-core.postgres"
FAULT_S = (100.0, 160.0)
OPEN_S = (100.4, 161.0)
WITNESS_AT_S = 120.0

EDGES = {
    "gateway": ("gateway.widget-core", "gateway.security", "gateway.redis"),
    "widget-core": (BROKEN, f"{BROKEN}.bulk", "widget-core.redis", "widget-core.orb-core", "widget-core.security"),
    "security": ("security.postgres", "security.redis"),
    "orb-core": (),
}
OUTCOMES = ("ok", "error", "timeout", "rejected", "overloaded")
COUNTERS = ("resilience_retries_total", "resilience_retries_refused_total", "resilience_bulkhead_rejected_total")


def run() -> Run:
    """The run: writes fail while Postgres is away, its breaker opens, one witness says so."""
    chance = random.Random(1)
    operations = tuple(_operations(chance))
    fault = FaultWindow(
        fault="Down()",
        on=BROKEN,
        sent_ns=ns(FAULT_S[0] - 0.01),
        injected_ns=ns(FAULT_S[0]),
        heal_sent_ns=ns(FAULT_S[1]),
        healed_ns=ns(FAULT_S[1] + 0.02),
    )
    history = History(
        operations=operations,
        faults=(fault,),
        samples=tuple(_samples(chance)),
        start_ns=START_NS,
        end_ns=operations[-1].start_ns,
    )
    happenings = [
        Happening(at_s=0.2, kind="phase", says="steady state"),
        Happening(at_s=FAULT_S[0], kind="inject", says=f"inject Down() on {BROKEN}"),
        Happening(at_s=FAULT_S[1], kind="heal", says=f"heal Down() on {BROKEN}"),
        Happening(at_s=FAULT_S[1], kind="phase", says="recovery"),
    ]
    header = {"utc": "2026-01-01T12:00:00+00:00", "seed": 7}
    return Run.of(_result(operations), history, happenings, header)


def _operations(chance: random.Random) -> Iterator[Operation]:
    for number in range(LENGTH_S * RATE):
        at_s = number / RATE
        broken = FAULT_S[0] <= at_s <= FAULT_S[1]
        if number % 10 < 7:
            took_ms = chance.lognormvariate(1.8, 0.4)
            yield op(at_s, took_ms=took_ms, source="stale" if broken else "hit" if number % 3 else "miss")
        elif broken:
            yield op(at_s, operation="create", status=503, took_ms=chance.lognormvariate(0.8, 0.3), retry_after=True)
        else:
            yield op(at_s, operation="create", took_ms=chance.lognormvariate(2.6, 0.5))


def _samples(chance: random.Random) -> Iterator[Sample]:
    totals: dict[str, float] = {}
    for tick in range(LENGTH_S * 10):
        time_ns = START_NS + tick * NS_PER_S // 10
        at_s = tick / 10
        for service, edges in EDGES.items():
            values = {f'ingress_in_flight{{service="{service}"}}': float(chance.randint(0, 6))}
            values[f'ingress_queued{{service="{service}"}}'] = 0.0
            for edge in edges:
                values |= _edge(edge, at_s, totals, chance)
            yield Sample(time_ns=time_ns, service=service, values=values)


def _edge(edge: str, at_s: float, totals: dict[str, float], chance: random.Random) -> dict[str, float]:
    """One edge's metrics: its counters go on in *totals*."""
    broken = edge.startswith(BROKEN) and FAULT_S[0] <= at_s <= FAULT_S[1]
    is_open = edge.startswith(BROKEN) and OPEN_S[0] <= at_s <= OPEN_S[1]
    grown = {
        f'resilience_calls_total{{edge="{edge}",outcome="{outcome}"}}': float(
            outcome == ("rejected" if is_open else "error" if broken else "ok")
        )
        for outcome in OUTCOMES
    }
    grown[f'resilience_attempts_total{{edge="{edge}"}}'] = 2.0 if broken and not is_open else float(not is_open)
    grown |= {f'{name}{{edge="{edge}"}}': 0.0 for name in COUNTERS}
    for key, growth in grown.items():
        totals[key] = totals.get(key, 0.0) + growth
    gauges = {
        f'resilience_breaker_state{{edge="{edge}"}}': 2.0 if is_open else 0.0,
        f'resilience_bulkhead_in_use{{edge="{edge}"}}': float(chance.randint(0, 3)),
        f'pool_connections_in_use{{edge="{edge}"}}': float(chance.randint(0, 4)),
    }
    return {key: totals[key] for key in grown} | gauges


def _result(operations: tuple[Operation, ...]) -> Result:
    failed = next(o for o in operations if o.start_ns >= ns(WITNESS_AT_S) and o.outcome is not Outcome.OK)
    sent = [o for o in operations if o.operation == "create"]
    share = sum(o.outcome is Outcome.OK for o in sent) / len(sent)
    return Result(
        id="LONG-1",
        title="Postgres is away for a minute",
        hypothesis="Every write succeeds although Postgres is away.",
        verdict=Verdict.REFUTED,
        says=f"create succeeds throughout: {share:.1%} succeeded",
        bites=(Bite(on=BROKEN, expected="refused", measured="refused after 0.1 ms", held=True),),
        findings=(
            Finding(
                check=f"the breaker of {BROKEN} opens",
                verdict=Verdict.HELD,
                says="opened after 0.40 s, 1 s allowed",
                checked=1,
                measured={"opened_s": OPEN_S[0] - FAULT_S[0], "never": 0},
            ),
            Finding(
                check="create succeeds throughout",
                verdict=Verdict.REFUTED,
                says=f"{share:.1%} of {len(sent)} succeeded, at least 99.0% expected",
                checked=len(sent),
                measured={"success_share": share},
                witness=(f"create #{failed.index} sent at {WITNESS_AT_S:.2f} s: 503 after 2 ms",),
            ),
        ),
        targets=((BROKEN, "Down()"),),
        wall_s=float(LENGTH_S),
        steady_share=0.99,
    )
