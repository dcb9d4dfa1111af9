"""The reading side: lines back to operations and fault windows, or an error that names the line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from chaos.errors import HistoryError
from chaos.history.entries import FORMAT, NEVER, USUAL, FaultWindow, Operation, Outcome, Snapshot

FAULT_FIELDS: Final = ("fault", "on", "sent_ns", "injected_ns", "heal_sent_ns", "healed_ns")
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "index": (int,),
    "time": (int,),
    "intended": (int,),
    "process": (int,),
    "invoked": (int,),
    "operation": (str,),
    "key": (str, type(None)),
    "version": (int, type(None)),
    "idempotency_key": (str, type(None)),
    "status": (int, type(None)),
    "source": (str, type(None)),
    "age_s": (int, float, type(None)),
    "attempts": (int,),
    "retry_after": (bool,),
    "error": (str, type(None)),
    "fault": (str,),
    "on": (str,),
    **dict.fromkeys(FAULT_FIELDS[2:], (int,)),
}
_MISSING: Final = object()
_WHO: Final = ("process", "operation", "key")
_ANSWER: Final = ("invoked", *_WHO, "version", "status", "source", "age_s", "attempts", "retry_after", "error")
_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "invoke": (*_WHO, "intended", "idempotency_key"),
    **dict.fromkeys(map(str, Outcome), _ANSWER),
    "fault": FAULT_FIELDS,
}
"""The fields of each kind of line whose type matters, beside index and time."""


@dataclass(kw_only=True)
class Reading:
    """Pairs the lines of a history into operations and fault windows."""

    operations: list[Operation] = field(default_factory=list)
    faults: list[FaultWindow] = field(default_factory=list)
    final: dict[str, int] | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    start_ns: int = 0
    last_ns: int = 0
    _lines: int = 0
    _open: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    _busy: dict[int, int] = field(default_factory=dict)

    def take(self, number: int, entry: dict[str, Any]) -> None:
        """Read the entry of line *number*.

        Raises:
            HistoryError: it cannot stand there; says why.
        """
        try:
            _well_typed(entry)
            self._in_order(entry)
            self._kinds[entry["type"]](self, entry)
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            msg = f"history.jsonl line {number}: {type(error).__name__} {error}"
            raise HistoryError(msg) from error

    def _in_order(self, entry: Mapping[str, Any]) -> None:
        if not self._lines:
            if entry["type"] != "history" or entry["format"] != FORMAT:
                msg = f"not a history of format {FORMAT}"
                raise ValueError(msg)
            self.start_ns = entry["time"]
        elif entry["type"] == "history":
            msg = "another history begins"
            raise ValueError(msg)
        if entry["time"] < self.last_ns:
            msg = f"time {entry['time']} is before the line above ({self.last_ns})"
            raise ValueError(msg)
        if entry["index"] != self._lines:
            msg = f"index {entry['index']}, expected {self._lines}: lines are missing, doubled or out of order"
            raise ValueError(msg)
        self.last_ns = entry["time"]
        self._lines += 1

    def _invoke(self, entry: dict[str, Any]) -> None:
        process = entry["process"]
        if process in self._busy:
            msg = f"process {process} sends while its operation {self._busy[process]} is under way"
            raise ValueError(msg)
        self._busy[process] = entry["index"]
        self._open[entry["index"]] = len(self.operations), entry
        self.operations.append(_unknown(entry))

    def _complete(self, entry: dict[str, Any]) -> None:
        if entry["invoked"] not in self._open:
            msg = f"completes operation {entry['invoked']!r}, which is not under way"
            raise ValueError(msg)
        position, invoked = self._open.pop(entry["invoked"])
        for name in _WHO:
            if entry[name] != invoked[name]:
                msg = f"{name} {entry[name]!r} completes operation {entry['invoked']} of {name} {invoked[name]!r}"
                raise ValueError(msg)
        del self._busy[entry["process"]]
        self.operations[position] = _completed(invoked, entry)

    def ended(self) -> None:
        """There is no further line: operations that never ended were still waiting at the last.

        Raises:
            HistoryError: there was no line at all.
        """
        if not self._lines:
            msg = "history.jsonl line 1: is missing: the file is empty"
            raise HistoryError(msg)
        for position, _ in self._open.values():
            self.operations[position] = replace(self.operations[position], answered_ns=self.last_ns)

    def passed_over(self, lines: int, last_ns: int) -> None:
        """*lines* more lines were read by other means, the last one of *last_ns*."""
        self._lines += lines
        self.last_ns = last_ns

    def _fault(self, entry: dict[str, Any]) -> None:
        self.faults.append(fault_of(entry))

    def _final(self, entry: dict[str, Any]) -> None:
        if "value" in entry:
            self.final = _counts(entry["value"])
        if "stores" in entry or "value" not in entry:
            self._snapshot(entry)

    def _snapshot(self, entry: dict[str, Any]) -> None:
        stores = {name: dict(held.items()) for name, held in entry["stores"].items()}
        self.snapshots.append(Snapshot(time_ns=entry["time"], stores=stores))

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
        "snapshot": _snapshot,
    }


def _counts(value: object) -> dict[str, int]:
    """What a final read found; a bank's account may be below 0."""
    if not isinstance(value, dict):
        msg = f"final is {value!r}, expected dict"
        raise TypeError(msg)
    for name, count in value.items():
        if type(count) is not int:
            msg = f"final {name!r} is {count!r}, expected int"
            raise TypeError(msg)
    return value


def _well_typed(entry: Mapping[str, Any]) -> None:
    """Every field of the line's kind has the type that its name stands for; a value may be anything."""
    for name in ("index", "time", *_OF_KIND.get(str(entry["type"]), ())):
        value = entry.get(name, _MISSING)
        if value is _MISSING:
            continue
        if type(value) not in _TYPES[name] or (type(value) is int and not 0 <= value < NEVER):
            expected = " or ".join(t.__name__ for t in _TYPES[name])
            msg = f"{name} is {value!r}, expected {expected}"
            raise TypeError(msg)


def fault_of(entry: Mapping[str, Any]) -> FaultWindow:
    """The fault window of a line.

    Raises:
        ValueError, KeyError, TypeError: the line is none.
    """
    _well_typed(entry)
    moments = [entry[name] for name in FAULT_FIELDS[2:]]
    if moments != sorted(moments):
        msg = f"a fault goes from its sending to its healing, not {moments}"
        raise ValueError(msg)
    return FaultWindow(**{name: entry[name] for name in FAULT_FIELDS})


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
        idempotency_key=_said(invoked, "idempotency_key"),
        error="no answer was recorded",
        wrote=invoked["value"],
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
        status=_said(entry, "status"),
        source=_said(entry, "source"),
        age_s=_said(entry, "age_s"),
        retry_after=_said(entry, "retry_after"),
        attempts=_said(entry, "attempts"),
        idempotency_key=_said(invoked, "idempotency_key"),
        error=_said(entry, "error"),
        wrote=invoked["value"],
        version=_said(entry, "version"),
    )


def _said(entry: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401  (JSON)
    return entry.get(name, USUAL[name])
