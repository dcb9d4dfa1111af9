"""What retries cost: how much they amplify the load, and whether somebody says no.

Read from the metrics of the calling service: a retry is not visible to the clients.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from chaos.checkers.finding import judged
from chaos.checkers.metrics import (
    CALLS,
    POOL_FAILED,
    POOL_OPENED,
    REFUSED,
    RETRIES,
    WAITED,
    WAITED_SQUARES,
    growth,
    series,
    totals,
)
from chaos.checkers.moments import DuringFaults, Moments, Throughout
from chaos.clock import NS_PER_S
from chaos.history import History
from chaos.results.model import Finding

MS_PER_S: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Amplifies:
    """In no window of *window_s* seconds do retries multiply the calls on *edge* by more than *at_most*.

    The factor is (calls + retries) / calls. A window with fewer than *min_calls* calls is left out:
    a budget saves up a few retries, which weigh heavily among few calls.
    """

    edge: str
    at_most: float
    window_s: float = 2.0
    min_calls: int = 20

    def __call__(self, history: History) -> Finding:
        """Judge *history*: every window that ends with a sample."""
        calls, retries = (list(totals(history, metric, edge=self.edge)) for metric in (CALLS, RETRIES))
        factors = _factors(calls, retries, int(self.window_s * NS_PER_S), self.min_calls)
        worst, at_ns = max(factors, default=(0.0, history.start_ns))
        at_s = (at_ns - history.start_ns) / NS_PER_S
        return judged(
            f"retries on {self.edge} stay within a budget",
            holds=worst <= self.at_most,
            checked=len(factors),
            says=f"load times {worst:.2f} in the worst {self.window_s:g} s, {self.at_most:g} allowed",
            measured={"amplification": worst},
            witness=[f"in the {self.window_s:g} s before {at_s:.1f} s there were {worst:.2f} attempts for each call"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetRefuses:
    """The retry budget of *edge* said no at least *at_least* times: it was put to the test."""

    edge: str
    at_least: int = 1
    during: Moments = field(default_factory=Throughout)

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        return _grows(history, self, REFUSED, f"the retry budget of {self.edge} is spent", "retries were refused")


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """At least *at_least* calls on *edge* were repeated while the fault was in effect."""

    edge: str
    at_least: int = 1
    during: Moments = field(default_factory=DuringFaults)

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        return _grows(history, self, RETRIES, f"calls on {self.edge} are repeated", "retries were made")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spaced:
    """Retries on *edge* wait on average *mean_ms* = (least, most) milliseconds, and not all of them the same.

    Jitter shows in the coefficient of variation (standard deviation over mean) of the waits: it is
    0 for equal waits and 0.58 for waits drawn evenly from 0 on ("full jitter"); *spread* is the
    least that is allowed. The service shows the sum of the waits and of their squares.
    """

    edge: str
    mean_ms: tuple[float, float]
    spread: float = 0.4
    at_least: int = 10
    during: Moments = field(default_factory=DuringFaults)

    def __call__(self, history: History) -> Finding:
        """Judge *history*; INVALID with fewer than *at_least* retries."""
        spans = self.during(history)
        count, waited, squares = (
            sum(growth(history, metric, s.start_ns, s.end_ns, edge=self.edge) for s in spans)
            for metric in (RETRIES, WAITED, WAITED_SQUARES)
        )
        mean_s = waited / count if count else 0.0
        variance = max(0.0, squares / count - mean_s**2) if count else 0.0
        spread = sqrt(variance) / mean_s if mean_s else 0.0
        least, most = self.mean_ms
        return judged(
            f"retries on {self.edge} are spaced and jittered {self.during}",
            holds=least <= mean_s * MS_PER_S <= most and spread >= self.spread,
            checked=int(count) if count >= self.at_least else 0,
            says=f"{count:g} retries waited {mean_s * MS_PER_S:.0f} ms on average, {least:g} to {most:g} allowed; "
            f"their spread was {spread:.2f} of that, at least {self.spread:g} expected",
            measured={"wait_ms": mean_s * MS_PER_S, "spread": spread},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconnects:
    """The pool of *edge* replaced at least *at_least* connections: so many were killed and thrown away.

    At most *retries_each* calls were repeated for each of them, and for each that was killed before it was open.
    """

    edge: str
    at_least: int
    retries_each: float
    during: Moments = field(default_factory=DuringFaults)

    def __call__(self, history: History) -> Finding:
        """Judge *history* by the pool's own count."""
        spans = self.during(history)
        opened, failed, repeated = (
            sum(growth(history, metric, s.start_ns, s.end_ns, edge=self.edge) for s in spans)
            for metric in (POOL_OPENED, POOL_FAILED, RETRIES)
        )
        seen = any(True for _ in series(history, POOL_OPENED, edge=self.edge))
        return judged(
            f"the pool of {self.edge} replaces what was killed {self.during}",
            holds=opened >= self.at_least and repeated <= self.retries_each * (opened + failed),
            checked=len(spans) if seen else 0,
            says=f"{opened:g} connections replaced, at least {self.at_least} expected, and {failed:g} not opened; "
            f"{repeated:g} retries, {self.retries_each:g} for each allowed",
            measured={"replaced": opened, "not_opened": failed, "retries": repeated},
        )


def _grows(history: History, asked: BudgetRefuses | Retries, metric: str, check: str, what: str) -> Finding:
    spans = asked.during(history)
    seen = any(True for _ in series(history, metric, edge=asked.edge))
    count = sum(growth(history, metric, span.start_ns, span.end_ns, edge=asked.edge) for span in spans)
    return judged(
        f"{check} {asked.during}",
        holds=count >= asked.at_least,
        checked=len(spans) if seen else 0,
        says=f"{count:g} {what}, at least {asked.at_least} expected",
        measured={"count": count},
    )


def _factors(
    calls: list[tuple[int, float]], retries: list[tuple[int, float]], window_ns: int, min_calls: int
) -> list[tuple[float, int]]:
    """Amplification and end of each window; both counters are of the same samples."""
    times = [t for t, _ in calls]
    factors = []
    for last, (time_ns, total) in enumerate(calls):
        first = bisect_right(times, time_ns - window_ns) - 1
        if first < 0 or last >= len(retries):
            continue
        made, again = total - calls[first][1], retries[last][1] - retries[first][1]
        if made >= min_calls:
            factors.append(((made + again) / made, time_ns))
    return factors
