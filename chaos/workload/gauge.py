"""The clients' view of one workload, from one look to the next."""

from __future__ import annotations

from collections import Counter

from chaos.clock import NS_PER_MS, NS_PER_S, now_ns
from chaos.history import Outcome
from chaos.workload.rates import Shape


class Gauge:
    """Counts what a workload does.

    Args:
        workload: what it is called in the series.
    """

    def __init__(self, workload: str) -> None:
        self._label = f'workload="{workload}"'
        self._shape: Shape | None = None
        self._start_ns = self._looked_ns = now_ns()
        self._due = self._sent = self._ended = 0
        self._looked = (0, 0)
        self._late_ns = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._latencies: list[int] = []

    def begin(self, start_ns: int, shape: Shape) -> None:
        """The schedule by which requests are due, from now on."""
        self._start_ns, self._shape = start_ns, shape

    def sent(self, intended_ns: int) -> None:
        """A request leaves."""
        self._sent += 1
        self._late_ns = max(self._late_ns, now_ns() - intended_ns)

    def answered(self, intended_ns: int, outcome: Outcome) -> None:
        """An operation ended."""
        self._ended += 1
        self._outcomes[outcome] += 1
        self._latencies.append(now_ns() - intended_ns)

    def look(self, time_ns: int) -> dict[str, float]:
        """Values by name and labels since the last look: rates per second, latencies, who waits."""
        passed_s = max(time_ns - self._looked_ns, 1) / NS_PER_S
        intended, sent = self._intended(time_ns), self._sent
        values = {
            f"clients_intended_per_s{{{self._label}}}": (intended - self._looked[0]) / passed_s,
            f"clients_achieved_per_s{{{self._label}}}": (sent - self._looked[1]) / passed_s,
            f"clients_intended_total{{{self._label}}}": float(intended),
            f"clients_sent_total{{{self._label}}}": float(sent),
            f"clients_waiting{{{self._label}}}": float(sent - self._ended),
            f"clients_late_ms{{{self._label}}}": self._late_ns / NS_PER_MS,
        }
        for outcome in Outcome:
            count = self._outcomes[outcome]
            values[f'clients_answered_per_s{{{self._label},outcome="{outcome}"}}'] = count / passed_s
        if ranked := sorted(self._latencies):
            for share in (0.5, 0.95, 0.99):
                ms = ranked[min(len(ranked) - 1, int(len(ranked) * share))] / NS_PER_MS
                values[f'clients_latency_ms{{{self._label},quantile="{share}"}}'] = ms
        self._looked, self._looked_ns = (intended, sent), time_ns
        self._late_ns, self._latencies = 0, []
        self._outcomes.clear()
        return values

    def _intended(self, time_ns: int) -> int:
        """How many requests the schedule wanted sent until now; without one, as many as were sent."""
        if self._shape is None:
            return self._sent
        passed_s = (time_ns - self._start_ns) / NS_PER_S
        while self._shape.due_s(self._due) <= passed_s:
            self._due += 1
        return self._due
