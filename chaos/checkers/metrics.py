"""Reading the services' metrics out of a history.

They are sampled at 10 Hz, so a moment is known to ± 0.1 s; counts between two samples are exact.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from chaos.history import History

BREAKER: Final = "resilience_breaker_state"
CLOSED, OPEN = 0, 2
CALLS: Final = "resilience_calls_total"
ATTEMPTS: Final = "resilience_attempts_total"
TRANSITIONS: Final = "resilience_breaker_transitions_total"
RETRIES: Final = "resilience_retries_total"
REFUSED: Final = "resilience_retries_refused_total"
WAITED: Final = "resilience_retry_wait_seconds_total"
WAITED_SQUARES: Final = "resilience_retry_wait_squares_total"
BULKHEAD_REJECTED: Final = "resilience_bulkhead_rejected_total"
BULKHEAD_IN_USE: Final = "resilience_bulkhead_in_use"
POOL_IN_USE: Final = "pool_connections_in_use"
POOL_OPENED: Final = "pool_connections_opened_total"
POOL_FAILED: Final = "pool_connections_failed_total"
IN_FLIGHT: Final = "ingress_in_flight"
CONNECTIONS: Final = "edge_connections"

_EDGE: Final = re.compile(r'edge="([^"]*)"')


def series(history: History, metric: str, **labels: str) -> Iterator[tuple[int, float]]:
    """Time and value of *metric* with *labels* in each sample that has it, summed over other labels."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    for sample in history.samples:
        found = [v for k, v in sample.values.items() if k.startswith(metric + "{") and all(w in k for w in wanted)]
        if found:
            yield sample.time_ns, sum(found)


def totals(history: History, metric: str, **labels: str) -> Iterator[tuple[int, float]]:
    """Time and value of the counter *metric* in each sample that has it, as if no service had ever restarted.

    A counter that falls tells that its process has begun anew, and with it all its counters at zero.
    """
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    last: defaultdict[str, dict[str, float]] = defaultdict(dict)
    total = 0.0
    for sample in history.samples:
        found = {name: value for name, value in sample.values.items() if name.startswith(metric + "{")}
        known = last[sample.service]
        if any(value < known.get(name, 0) for name, value in found.items()):
            known.clear()
        steps = [v - known.get(name, 0) for name, v in found.items() if all(w in name for w in wanted)]
        known |= found
        if steps:
            total += sum(steps)
            yield sample.time_ns, total


def growth(history: History, metric: str, start_ns: int, end_ns: int, **labels: str) -> float:
    """How much a counter grew from the last sample before *start_ns* to the last one before *end_ns*."""
    before = after = 0.0
    for time_ns, value in totals(history, metric, **labels):
        if time_ns <= start_ns:
            before = value
        if time_ns <= end_ns:
            after = value
    return after - before


def edges(history: History, metric: str) -> list[str]:
    """The edges that have samples of *metric*, by name."""
    names = {name for sample in history.samples for name in sample.values if name.startswith(metric + "{")}
    return sorted({found[1] for name in names if (found := _EDGE.search(name))})
