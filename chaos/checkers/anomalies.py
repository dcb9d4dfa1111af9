"""What the consistency checkers find, and how it becomes a finding: names, witnesses, coverage."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from chaos.checkers.finding import judged, of_data
from chaos.checkers.metrics import BREAKER, edges, series
from chaos.clock import NS_PER_S
from chaos.errors import HistoryError, LabError
from chaos.history import NEVER, FaultWindow, History, Operation, Outcome
from chaos.results.model import Finding, Verdict

WITNESS_MAX: Final = 4
_STATES: Final = {0: "closed", 1: "half-open", 2: "open"}

_NEVER_THERE: Final = ("garbage read", "aborted read", "future read")
_CYCLES: Final = ("G0", "G1c", "G-single", "G2-item")
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "AtRest": ("dangling cache entry", "divergence", "late convergence", "orphan"),
    "Bank": ("negative balance", "read skew", "wrong total"),
    "CompareAndSet": ("cycle", "lost update", "stale read", "stale version", *_NEVER_THERE),
    "Counter": ("double apply", "lost increment"),
    "Idempotency": ("divergent response", "double apply", "lost acknowledgement", "refused but done"),
    "Ledger": (
        *("aborted read", "doubled", "doubled in a read", "future read", "lost acknowledged write", "never resolved"),
        *("refused but done", "resurrected", "resurrected in a read", "visible late"),
    ),
    "Linearizable": ("not linearizable",),
    "Register": ("lost write", "new-old inversion", "stale read", *_NEVER_THERE),
    "Sessions": tuple(
        f"{guarantee} violated"
        for guarantee in ("monotonic reads", "monotonic writes", "read your writes", "writes follow reads")
    ),
    "Staleness": ("stale beyond bound", *_NEVER_THERE),
    "Transactions": (
        *("G1a", "G1b", "duplicate element", "garbage read", "incompatible order", "internal"),
        *(name + order for name in _CYCLES for order in ("", "-process", "-realtime")),
    ),
}
"""What each checker can name. A test has a store for each that produces it."""
_KNOWN: Final = frozenset(name for names in NAMES.values() for name in names)


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One contradiction in a history.

    Attributes:
        name: the field's term, such as "stale read"; one of ``NAMES``.
        says: the contradiction in one sentence.
        operations: those that contradict each other, at most four.
        times: how many contradictions of the same name this one stands for.
    """

    name: str
    says: str
    operations: tuple[Operation, ...] = ()
    times: int = 1

    def __post_init__(self) -> None:
        if self.name not in _KNOWN:
            msg = f"{self.name!r} is no anomaly of NAMES: enter it there"
            raise LabError(msg)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """What a checker had to judge.

    Attributes:
        operations: how many it looked at.
        overlapping: how many of them were under way during a fault.
        exercised: how many could have shown an anomaly, such as reads that could have seen an old value.
        exercises: what those are, in words.
    """

    operations: int
    overlapping: int
    exercised: int
    exercises: str

    @classmethod
    def of(
        cls, history: History, operations: Sequence[Operation], exercised: int, exercises: str = "could have shown one"
    ) -> Coverage:
        """The coverage of *operations* of *history*, of which *exercised* could have shown an anomaly."""
        overlapping = sum(bool(faults_over(o, history.faults)) for o in operations)
        return cls(operations=len(operations), overlapping=overlapping, exercised=exercised, exercises=exercises)


def concluded(
    check: str,
    history: History,
    coverage: Coverage,
    anomalies: Sequence[Anomaly],
    measured: Mapping[str, float] | None = None,
) -> Finding:
    """REFUTED with the first of *anomalies* as witness; HELD without any.

    INVALID without any when nothing could have shown one, or no operation overlapped a fault of
    a history that has faults: then nothing was exercised.
    """
    counts: Counter[str] = Counter()
    for anomaly in anomalies:
        counts[anomaly.name] += anomaly.times
    figures = {
        "operations": coverage.operations,
        "overlapping_a_fault": coverage.overlapping,
        "exercised": coverage.exercised,
        **(measured or {}),
        **{name.replace(" ", "_"): n for name, n in counts.items()},
    }
    if not anomalies and (problem := _unexercised(history, coverage)):
        return Finding(check=check, verdict=Verdict.INVALID, says=problem, checked=0, measured=figures)
    return of_data(
        judged(
            check,
            holds=not anomalies,
            checked=max(1, coverage.operations),
            says=_says(coverage, anomalies, counts),
            measured=figures,
            witness=[told(o, history) for o in anomalies[0].operations[:WITNESS_MAX]] if anomalies else (),
        )
    )


def _unexercised(history: History, coverage: Coverage) -> str | None:
    if not coverage.exercised:
        return f"nothing was exercised: none of {coverage.operations} operations {coverage.exercises}"
    if history.faults and not coverage.overlapping:
        return f"nothing was exercised: none of {coverage.operations} operations overlapped a fault"
    return None


def _says(coverage: Coverage, anomalies: Sequence[Anomaly], counts: Mapping[str, int]) -> str:
    if not anomalies:
        return (
            f"no anomaly in {coverage.operations} operations; {coverage.overlapping} overlapped a fault, "
            f"{coverage.exercised} {coverage.exercises}"
        )
    return f"{', '.join(f'{n} {name}' for name, n in counts.items())}: {anomalies[0].says}"


def named(operation: Operation) -> str:
    """*operation* as a sentence refers to it, such as ``read #91``."""
    return f"{operation.operation} #{operation.index}"


def at(time_ns: int, history: History) -> str:
    """The moment *time_ns* in seconds since the run's start."""
    return f"{(time_ns - history.start_ns) / NS_PER_S:.3f} s"


def told(operation: Operation, history: History) -> str:
    """*operation* in words: who, what, when, under which fault and breaker state."""
    about = f" of {operation.key!r}" if operation.key is not None else ""
    until = "never known" if operation.end_ns == NEVER else at(operation.end_ns, history)
    when = f"{at(operation.start_ns, history)} to {until}"
    words = f"{named(operation)} by process {operation.process}{about} {_did(operation)}, {when}"
    faults = faults_over(operation, history.faults)
    return "; ".join([words, *(_fault(f, history, operation) for f in faults)])


def _did(operation: Operation) -> str:
    wrote = "" if operation.wrote is None else f"sent {operation.wrote!r}: "
    version = "" if operation.version is None else f" version {operation.version}"
    return f"{wrote}{operation.outcome.value} {operation.value!r}{version}"


def _fault(fault: FaultWindow, history: History, operation: Operation) -> str:
    words = f"during {fault.fault} on {fault.on} ({at(fault.sent_ns, history)} to {at(fault.healed_ns, history)})"
    states = [
        f"breaker of {edge} {_STATES.get(int(state), state)}"
        for edge in edges(history, BREAKER)
        if fnmatchcase(edge, fault.on) and (state := _last(history, edge, operation.answered_ns)) is not None
    ]
    return ", ".join([words, *states])


def _last(history: History, edge: str, until_ns: int) -> float | None:
    state = None
    for time_ns, value in series(history, BREAKER, edge=edge):
        if time_ns > until_ns:
            break
        state = value
    return state


def faults_over(operation: Operation, faults: Iterable[FaultWindow]) -> list[FaultWindow]:
    """The *faults* during which *operation* was under way."""
    return [f for f in faults if operation.start_ns <= f.healed_ns and operation.answered_ns >= f.sent_ns]


def oks(operations: Iterable[Operation]) -> list[Operation]:
    """Those of *operations* that were acknowledged."""
    return [o for o in operations if o.outcome is Outcome.OK]


def refused(operation: Operation, reason: str) -> HistoryError:
    """The error that a checker raises on an *operation* that it cannot judge; names its line."""
    return HistoryError(f"history.jsonl line {operation.index + 1}: {named(operation)} {reason}")


def final_count(final: Mapping[str, int], element: str) -> int:
    """How often *element* is in the store, by its *final* read.

    Raises:
        HistoryError: less than no times.
    """
    count = final.get(element, 0)
    if count < 0:
        msg = f"history.jsonl: the final read counts {count} of {element!r}, expected 0 or more"
        raise HistoryError(msg)
    return count


def unique(operations: Iterable[Operation], identify: Callable[[Operation], Hashable]) -> None:
    """Refuse *operations* of which two are the same to *identify*.

    Raises:
        HistoryError: names both.
    """
    seen: dict[Hashable, Operation] = {}
    for operation in operations:
        first = seen.setdefault(identify(operation), operation)
        if first is not operation:
            reason = (
                f"sends {operation.written!r} to key {operation.key!r} as #{first.index} does; values must be unique"
            )
            raise refused(operation, reason)


def by_key(operations: Iterable[Operation]) -> dict[str | None, list[Operation]]:
    """The operations of each key, in their order."""
    groups: dict[str | None, list[Operation]] = defaultdict(list)
    for operation in operations:
        groups[operation.key].append(operation)
    return groups
