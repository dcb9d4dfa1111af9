"""The append-only record of a run: what clients saw and what faults did, on one clock.

A file of JSON lines. An operation's ``invoke`` line is on disk before its request leaves, so a
killed runner leaves a history in which the operation is there with an unknown outcome. Faults are
lines of the same file. All times are nanoseconds of ``CLOCK_MONOTONIC``.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from chaos.clock import now_ns
from chaos.errors import HistoryError, disk_errors

FORMAT: Final = 1
HICCUP: Final = "lab_hiccup_ms"
"""A value of the lab's own samples: for so long from the sample's time on, the lab stood still."""

NEVER: Final = 2**63 - 1
"""The end of an operation whose outcome is unknown: it may still take effect at any time."""


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
        value: what it wrote or, once ok, what it read.
        intended_ns: when the schedule wanted it sent; latency counts from here.
        start_ns: when it was sent.
        end_ns: when the answer was there; NEVER for an unknown outcome.
        answered_ns: when the client gave up or got its answer, whatever the outcome.
        outcome: ok, fail (did not happen) or info (unknown).
        status: HTTP status, None without an answer.
        source: where the answer came from: "hit", "miss", "stale", …; None if not said.
        retry_after: whether the answer told when to come back.
        attempts: requests that were sent for it.
        idempotency_key: the same for all its attempts.
        error: what went wrong on the client's side.
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
    retry_after: bool = False
    attempts: int = 1
    idempotency_key: str | None = None
    error: str | None = None

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
class History:
    """Everything that a run recorded, ready for checkers.

    Attributes:
        operations: by the time they were sent.
        faults: in the order of injection.
        samples: the services' metrics over time.
        final: the store's elements after healing and how often each is there; None if not read.
        start_ns, end_ns: the first line and the last sending.
    """

    operations: tuple[Operation, ...] = ()
    faults: tuple[FaultWindow, ...] = ()
    samples: tuple[Sample, ...] = ()
    final: Mapping[str, int] | None = None
    start_ns: int = 0
    end_ns: int = 0

    def of(self, operation: str) -> tuple[Operation, ...]:
        """The operations of that kind."""
        return tuple(o for o in self.operations if o.operation == operation)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``history.jsonl`` and ``series.jsonl`` of *folder*.

        Raises:
            HistoryError: a line is damaged, foreign or out of order; names it.
        """
        reading = _Reading()
        for number, entry in read_lines(folder / "history.jsonl"):
            reading.take(number, entry)
        reading.unanswered()
        samples = [Sample(**entry) for _, entry in read_lines(folder / "series.jsonl")]
        operations = tuple(sorted(reading.operations, key=lambda o: o.start_ns))
        return cls(
            operations=operations,
            faults=tuple(reading.faults),
            samples=tuple(samples),
            final=reading.final,
            start_ns=reading.start_ns,
            end_ns=operations[-1].start_ns if operations else reading.last_ns,
        )


class Recorder:
    """Writes one history; safe to use from several threads. Use as a context manager.

    Args:
        folder: of the scenario; ``history.jsonl`` and ``series.jsonl`` are made in it.
        scenario: written into the first line.
    """

    def __init__(self, folder: Path, scenario: str) -> None:
        self._lock = threading.Lock()
        self._index = 0
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            self._history = os.open(folder / "history.jsonl", flags, 0o644)
            self._series = os.open(folder / "series.jsonl", flags, 0o644)
        self.write("history", format=FORMAT, scenario=scenario, utc=datetime.now(UTC).isoformat())

    def write(self, kind: str, **fields: Any) -> int:  # noqa: ANN401  (JSON)
        """Append one line and return its index."""
        with self._lock:
            index, self._index = self._index, self._index + 1
            line = json.dumps({"index": index, "time": now_ns(), "type": kind, **fields}, separators=(",", ":"))
            with disk_errors(Path("history.jsonl")):
                os.write(self._history, line.encode() + b"\n")
        return index

    def sample(self, sample: Sample) -> None:
        """Append one look at a service's metrics."""
        line = json.dumps({"time_ns": sample.time_ns, "service": sample.service, "values": sample.values})
        with disk_errors(Path("series.jsonl")):
            os.write(self._series, line.encode() + b"\n")

    def close(self) -> None:
        """Close the files."""
        os.close(self._history)
        os.close(self._series)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line of *path*; a last line cut short by a kill is left out.

    Raises:
        HistoryError: the file is missing, or a line is no JSON object.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.endswith("\n"):
                    yield number, _decoded(path, number, line)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise HistoryError(msg) from error


def _decoded(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        msg = f"{path} line {number}: is not JSON: {error}"
        raise HistoryError(msg) from error
    if not isinstance(entry, dict):
        msg = f"{path} line {number}: is a {type(entry).__name__}, expected an object"
        raise HistoryError(msg)
    return entry


@dataclass(kw_only=True)
class _Reading:
    """Pairs the lines of a history into operations and fault windows."""

    operations: list[Operation] = field(default_factory=list)
    faults: list[FaultWindow] = field(default_factory=list)
    final: dict[str, int] | None = None
    start_ns: int = 0
    last_ns: int = 0
    _open: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    def take(self, number: int, entry: dict[str, Any]) -> None:
        """Read the entry of line *number*."""
        try:
            self._in_order(entry)
            self._kinds[entry["type"]](self, entry)
        except (KeyError, ValueError, TypeError) as error:
            msg = f"history.jsonl line {number}: {type(error).__name__} {error}"
            raise HistoryError(msg) from error

    def _in_order(self, entry: Mapping[str, Any]) -> None:
        if not self.start_ns:
            if entry["type"] != "history" or entry["format"] != FORMAT:
                msg = f"not a history of format {FORMAT}"
                raise ValueError(msg)
            self.start_ns = entry["time"]
        if entry["time"] < self.last_ns:
            msg = f"time {entry['time']} is before the line above ({self.last_ns})"
            raise ValueError(msg)
        self.last_ns = entry["time"]

    def _invoke(self, entry: dict[str, Any]) -> None:
        self._open[entry["index"]] = len(self.operations), entry
        self.operations.append(_unknown(entry))

    def _complete(self, entry: dict[str, Any]) -> None:
        if entry["invoked"] not in self._open:
            msg = f"completes operation {entry['invoked']!r}, which is not under way"
            raise ValueError(msg)
        position, invoked = self._open.pop(entry["invoked"])
        self.operations[position] = _completed(invoked, entry)

    def unanswered(self) -> None:
        """Operations that never ended were still waiting at the last line."""
        for position, _ in self._open.values():
            self.operations[position] = replace(self.operations[position], answered_ns=self.last_ns)

    def _fault(self, entry: dict[str, Any]) -> None:
        names = ("fault", "on", "sent_ns", "injected_ns", "heal_sent_ns", "healed_ns")
        self.faults.append(FaultWindow(**{name: entry[name] for name in names}))

    def _final(self, entry: dict[str, Any]) -> None:
        self.final = {str(k): int(v) for k, v in entry["value"].items()}

    def _ignore(self, entry: dict[str, Any]) -> None:
        """Lines for people and later tools: phases, attempts, the single steps of a fault."""

    _kinds: ClassVar = {
        "history": _ignore,
        "phase": _ignore,
        "attempt": _ignore,
        "inject": _ignore,
        "heal": _ignore,
        "invoke": _invoke,
        "ok": _complete,
        "fail": _complete,
        "info": _complete,
        "fault": _fault,
        "final": _final,
    }


def _unknown(invoked: Mapping[str, Any]) -> Operation:
    """An operation of which only the sending is known."""
    return Operation(
        index=invoked["index"],
        process=invoked["process"],
        operation=invoked["operation"],
        key=invoked["key"],
        value=invoked["value"],
        intended_ns=invoked["intended"],
        start_ns=invoked["time"],
        end_ns=NEVER,
        answered_ns=invoked["time"],
        outcome=Outcome.INFO,
        idempotency_key=invoked["idempotency_key"],
        error="no answer was recorded",
    )


def _completed(invoked: Mapping[str, Any], entry: Mapping[str, Any]) -> Operation:
    outcome = Outcome(entry["type"])
    return Operation(
        index=invoked["index"],
        process=invoked["process"],
        operation=invoked["operation"],
        key=entry["key"],
        value=entry["value"],
        intended_ns=invoked["intended"],
        start_ns=invoked["time"],
        end_ns=NEVER if outcome is Outcome.INFO else entry["time"],
        answered_ns=entry["time"],
        outcome=outcome,
        status=entry["status"],
        source=entry["source"],
        retry_after=entry["retry_after"],
        attempts=entry["attempts"],
        idempotency_key=invoked["idempotency_key"],
        error=entry["error"],
    )


Select = Callable[[Operation], bool]


def overlapping(operations: Iterable[Operation], start_ns: int, end_ns: int) -> list[Operation]:
    """The *operations* that were under way at some moment between *start_ns* and *end_ns*."""
    return [o for o in operations if o.start_ns <= end_ns and o.answered_ns >= start_ns]
