"""When a check applies: before, during or after the faults, or while a breaker is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from chaos.checkers.metrics import BREAKER, OPEN, series
from chaos.clock import NS_PER_S
from chaos.history import History, Operation


@dataclass(frozen=True, slots=True)
class Interval:
    """From one moment to another, both included, in nanoseconds."""

    start_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return (self.end_ns - self.start_ns) / NS_PER_S

    def holds(self, operation: Operation) -> bool:
        """Whether *operation* was sent and answered, or given up, inside it."""
        return self.start_ns <= operation.start_ns and operation.answered_ns <= self.end_ns


class Moments(Protocol):
    """Finds the intervals of a history in which a check applies; ``str`` of it names them."""

    def __call__(self, history: History) -> tuple[Interval, ...]:
        """The intervals, by time."""


@dataclass(frozen=True, slots=True)
class Throughout:
    """The whole run."""

    def __call__(self, history: History) -> tuple[Interval, ...]:
        """One interval."""
        return (Interval(history.start_ns, history.end_ns),)

    def __str__(self) -> str:
        return "throughout"


@dataclass(frozen=True, slots=True)
class BeforeFaults:
    """Until the first fault is sent."""

    def __call__(self, history: History) -> tuple[Interval, ...]:
        """One interval, none without a fault."""
        return tuple(Interval(history.start_ns, fault.sent_ns) for fault in history.faults[:1])

    def __str__(self) -> str:
        return "before the fault"


@dataclass(frozen=True, slots=True)
class DuringFaults:
    """While a fault is known to be in effect, from *settle_s* after its injection on."""

    settle_s: float = 0.0

    def __call__(self, history: History) -> tuple[Interval, ...]:
        """One interval for each fault that lasted longer than *settle_s*."""
        intervals = (
            Interval(fault.injected_ns + int(self.settle_s * NS_PER_S), fault.heal_sent_ns) for fault in history.faults
        )
        return tuple(i for i in intervals if i.end_ns > i.start_ns)

    def __str__(self) -> str:
        return "during the fault"


@dataclass(frozen=True, slots=True)
class AtTheEnd:
    """The last *seconds* of the run, when everything must be well again."""

    seconds: float = 1.0

    def __call__(self, history: History) -> tuple[Interval, ...]:
        """One interval, none when the last fault was healed later."""
        start = history.end_ns - int(self.seconds * NS_PER_S)
        healed = max((fault.healed_ns for fault in history.faults), default=history.start_ns)
        return (Interval(start, history.end_ns),) if start >= healed else ()

    def __str__(self) -> str:
        return f"in the last {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class WhileOpen:
    """While the breaker of *edge* is seen open under a fault: between two samples that both say so."""

    edge: str

    def __call__(self, history: History) -> tuple[Interval, ...]:
        """The intervals between first and last sample of each stretch of open samples."""
        faults = DuringFaults()(history)
        stretches: list[Interval] = []
        previous_open = False
        for time_ns, state in series(history, BREAKER, edge=self.edge):
            is_open = state == OPEN and any(f.start_ns <= time_ns <= f.end_ns for f in faults)
            if is_open and previous_open:
                stretches[-1] = Interval(stretches[-1].start_ns, time_ns)
            elif is_open:
                stretches.append(Interval(time_ns, time_ns))
            previous_open = is_open
        return tuple(s for s in stretches if s.end_ns > s.start_ns)

    def __str__(self) -> str:
        return f"while the breaker of {self.edge} is open"


def sent_in(operations: Iterable[Operation], intervals: Iterable[Interval]) -> list[Operation]:
    """The *operations* that were sent inside one of the *intervals*."""
    spans = tuple(intervals)
    return [o for o in operations if any(i.start_ns <= o.start_ns <= i.end_ns for i in spans)]
