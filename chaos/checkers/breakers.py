"""What a breaker did, from the metrics of the service that owns it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Final

from chaos.checkers.finding import judged
from chaos.checkers.metrics import (
    ATTEMPTS,
    BREAKER,
    CALLS,
    CLOSED,
    CONNECTIONS,
    OPEN,
    POOL_IN_USE,
    TRANSITIONS,
    growth,
    series,
)
from chaos.checkers.moments import DuringFaults, Interval
from chaos.checkers.recovery import recovered
from chaos.clock import NS_PER_S
from chaos.history import History
from chaos.results.model import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakerOpens:
    """The breaker of *edge* is open at most *within_s* seconds after the fault took hold."""

    edge: str
    within_s: float

    def __call__(self, history: History) -> Finding:
        """Judge *history*: every fault for itself, the slowest counts."""
        states = list(series(history, BREAKER, edge=self.edge))
        waits = [_first_open_s(states, fault) for fault in DuringFaults()(history)] if states else []
        longest = max((w for w in waits if w is not None), default=0.0)
        never = waits.count(None)
        says = f"never opened in {never} of {len(waits)} faults" if never else f"opened after {longest:.2f} s"
        return judged(
            f"the breaker of {self.edge} opens",
            holds=not never and longest <= self.within_s,
            checked=len(waits),
            says=f"{says}, {self.within_s:g} s allowed",
            measured={"opened_s": longest, "never": never},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakerCloses:
    """The breaker of *edge*, where a fault has opened it, is closed at most *within_s* seconds after healing."""

    edge: str
    within_s: float

    def __call__(self, history: History) -> Finding:
        """Judge *history*: every fault for itself, the slowest counts; see ``recovered``."""
        states = list(series(history, BREAKER, edge=self.edge))
        opened = [
            fault
            for fault in history.faults
            if any(state == OPEN for t, state in states if fault.injected_ns <= t <= fault.healed_ns)
        ]
        backs = [
            (fault, next((t for t, state in states if t >= fault.heal_sent_ns and state == CLOSED), None))
            for fault in opened
        ]
        return recovered(f"the breaker of {self.edge} closes", history, backs, self.within_s, "closed")


@dataclass(frozen=True, kw_only=True, slots=True)
class FailuresUntilOpen:
    """At most *at_most* calls fail on *edge* before its breaker is seen open."""

    edge: str
    at_most: int

    def __call__(self, history: History) -> Finding:
        """Judge *history*: calls that ended in error or time-out, counted by the service.

        INVALID when no call failed and the breaker did not open either.
        """
        states = list(series(history, BREAKER, edge=self.edge))
        counts = []
        for fault in DuringFaults()(history):
            opened = _first_open_s(states, fault)
            until = fault.end_ns if opened is None else fault.start_ns + int(opened * NS_PER_S)
            count = sum(growth(history, CALLS, fault.start_ns, until, edge=self.edge, outcome=o) for o in _BAD)
            counts += [count] if count or opened is not None else []
        most = max(counts, default=0)
        return judged(
            f"few calls fail before the breaker of {self.edge} opens",
            holds=most <= self.at_most,
            checked=len(counts) if states else 0,
            says=f"{most:g} calls failed, {self.at_most} allowed",
            measured={"failures": most},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbesOnly:
    """While the breaker of *edge* keeps open, attempts reach the driver only to probe.

    At most *permits* for each *open_s* seconds from the moment it is first seen open until healing.
    """

    edge: str
    permits: int = 1
    open_s: float = 1.0

    def __call__(self, history: History) -> Finding:
        """Judge *history*."""
        states = list(series(history, BREAKER, edge=self.edge))
        attempts = allowed = 0.0
        checked = 0
        for fault in DuringFaults()(history):
            if (opened := _first_open_s(states, fault)) is None:
                continue
            span = Interval(fault.start_ns + int(opened * NS_PER_S), fault.end_ns)
            attempts += growth(history, ATTEMPTS, span.start_ns, span.end_ns, edge=self.edge)
            allowed += ceil(span.length_s / self.open_s) * self.permits
            checked += 1
        return judged(
            f"the open breaker of {self.edge} lets only probes through",
            holds=attempts <= allowed,
            checked=checked,
            says=f"{attempts:g} attempts, {allowed:g} allowed ({self.permits} for each {self.open_s:g} s)",
            measured={"attempts": attempts},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeoutsPerOpening:
    """At most *at_most* calls on *edge* pay its time-out each time before the breaker opens.

    Openings are counted from the breaker's transitions, a probe that fails included.
    """

    edge: str
    at_most: int

    def __call__(self, history: History) -> Finding:
        """Judge *history*; INVALID when nothing called during a fault."""
        faults = [f for f in DuringFaults()(history) if growth(history, CALLS, f.start_ns, f.end_ns, edge=self.edge)]
        count = sum(growth(history, CALLS, f.start_ns, f.end_ns, edge=self.edge, outcome="timeout") for f in faults)
        openings = sum(
            growth(history, TRANSITIONS, f.start_ns, f.end_ns, edge=self.edge, to_state="open") for f in faults
        )
        allowed = self.at_most * max(1, openings)
        return judged(
            f"few calls on {self.edge} pay the time-out",
            holds=count <= allowed,
            checked=len(faults),
            says=f"{count:g} did, {allowed:g} allowed ({self.at_most} for each of {openings:g} openings)",
            measured={"timeouts": count, "openings": openings},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkersReturn:
    """At most *at_most* workers wait on *edge* from *within_s* seconds after the fault took hold."""

    edge: str
    within_s: float
    at_most: int

    def __call__(self, history: History) -> Finding:
        """Judge *history* by the connections that are taken from the pool: each holds a worker."""
        spans = DuringFaults(self.within_s)(history)
        waiting = [
            v
            for t, v in series(history, POOL_IN_USE, edge=self.edge)
            if any(s.start_ns <= t <= s.end_ns for s in spans)
        ]
        most = max(waiting, default=0.0)
        return judged(
            f"workers come back from {self.edge}",
            holds=most <= self.at_most,
            checked=len(waiting),
            says=f"at most {most:g} were waiting from {self.within_s:g} s on, {self.at_most} allowed",
            measured={"waiting": most},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Crosses:
    """In steady state the caller of *edge* holds a connection to its proxy, as the kernel sees it."""

    edge: str

    def __call__(self, history: History) -> Finding:
        """Judge *history* by the samples before the first fault."""
        until = history.faults[0].sent_ns if history.faults else history.end_ns
        counts = [v for t, v in series(history, CONNECTIONS, edge=self.edge) if t < until]
        most = max(counts, default=0.0)
        return judged(
            f"traffic crosses the proxy of {self.edge}",
            holds=most >= 1,
            checked=len(counts),
            says=f"up to {most:g} connections to the proxy in steady state, at least 1 expected",
            measured={"connections": most},
        )


_BAD: Final = ("error", "timeout")


def _first_open_s(states: Iterable[tuple[int, float]], fault: Interval) -> float | None:
    """Seconds from the start of *fault* to the first sample that shows an open breaker."""
    times = (t for t, state in states if fault.start_ns <= t <= fault.end_ns and state == OPEN)
    first = next(times, None)
    return None if first is None else (first - fault.start_ns) / NS_PER_S
