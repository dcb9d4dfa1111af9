"""What a history is made of: operations, fault windows and samples, all on one clock.

All times are nanoseconds of ``CLOCK_MONOTONIC``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

FORMAT: Final = 1
HICCUP: Final = "lab_hiccup_ms"
"""A value of the lab's own samples: for so long from the sample's time on, the lab stood still."""

NEVER: Final = 2**63 - 1
"""The end of an operation whose outcome is unknown: it may still take effect at any time."""

USUAL: Final[Mapping[str, Any]] = {
    "idempotency_key": None,
    "version": None,
    "status": None,
    "source": None,
    "age_s": None,
    "error": None,
    "retry_after": False,
    "attempts": 1,
}
"""What a field of an operation's lines is when it is left out: long histories are a third shorter so."""


class Outcome(StrEnum):
    """What a client knows about its operation."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One client call.

    Attributes:
        index: its place in the history.
        process: the client that made it.
        operation: what it did, such as "read" or "create".
        key: what it was about, such as a widget's id; None when it made one.
        value: what its answer carried: once ok, what a read has read; else what was to be written.
        intended_ns: when the schedule wanted it sent; latency counts from here.
        start_ns: when it was sent.
        end_ns: when the answer was there; NEVER for an unknown outcome.
        answered_ns: when the client gave up or got its answer, whatever the outcome.
        outcome: ok, fail (did not happen) or info (unknown).
        status: HTTP status, None without an answer.
        source: where the answer came from: "hit", "miss", "stale", …; None if not said.
        age_s: how old the answer says it is, in seconds; None if not said.
        retry_after: whether the answer told when to come back.
        attempts: requests that were sent for it.
        idempotency_key: the same for all its attempts.
        error: what went wrong on the client's side.
        wrote: what it was sent with: for a write, what it wrote. See ``written``.
        version: the version of its key that the answer named; None if it named none.
    """

    index: int
    process: int
    operation: str
    key: str | None
    value: Any
    intended_ns: int
    start_ns: int
    end_ns: int
    answered_ns: int
    outcome: Outcome
    status: int | None = None
    source: str | None = None
    age_s: float | None = None
    retry_after: bool = False
    attempts: int = 1
    idempotency_key: str | None = None
    error: str | None = None
    wrote: Any = None
    version: int | None = None

    @property
    def written(self) -> Any:  # noqa: ANN401  (JSON)
        """What it wrote, whatever its answer carried."""
        return self.value if self.wrote is None else self.wrote

    @property
    def latency_ns(self) -> int:
        """From the moment it should have been sent until the client had an answer or gave up."""
        return self.answered_ns - self.intended_ns


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultWindow:
    """One fault from the sending of its change until it was proved healed.

    Attributes:
        fault: in words, such as ``Down()``.
        on: the glob it was injected on.
        sent_ns, injected_ns: change sent, change acknowledged and read back.
        heal_sent_ns, healed_ns: undo sent, undo proved on the wire.
    """

    fault: str
    on: str
    sent_ns: int
    injected_ns: int
    heal_sent_ns: int
    healed_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One look at a service's metrics: values by ``name{label="…"}`` at one moment."""

    time_ns: int
    service: str
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What several stores held at one moment.

    Attributes:
        time_ns: when the last of them had been read.
        stores: by a store's name, what it holds by key.
    """

    time_ns: int
    stores: Mapping[str, Mapping[str, Any]]


Select = Callable[[Operation], bool]


def overlapping(operations: Iterable[Operation], start_ns: int, end_ns: int) -> list[Operation]:
    """The *operations* that were under way at some moment between *start_ns* and *end_ns*."""
    return [o for o in operations if o.start_ns <= end_ns and o.answered_ns >= start_ns]
