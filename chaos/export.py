"""Histories for other people's checkers: Jepsen's EDN and the events of Porcupine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from chaos.history import FaultWindow, History, Outcome, read_lines

_SYMBOL: Final = re.compile(r"[A-Za-z*!_?$%&=<>+-][A-Za-z0-9*!_?$%&=<>+.-]*")
_LONG: Final = range(-(2**63), 2**63)
_COMPLETIONS: Final = frozenset(Outcome)


def edn(folder: Path) -> Iterator[str]:
    """The history of *folder* for Jepsen and Knossos: one operation map a line, in order of time.

    A value is read by ``:read``-like operations and written by others; ``:time`` counts nanoseconds
    from the start. An operation without a completion was under way when the history ended. Faults
    are operations of the process ``:nemesis``, each twice: its change was sent, and acknowledged.

    Raises:
        HistoryError: the history is damaged; names the line.
    """
    history = History.load(folder)
    operations = (
        (entry["time"], _edn_operation(entry))
        for _, entry in read_lines(folder / "history.jsonl")
        if entry["type"] == "invoke" or entry["type"] in _COMPLETIONS
    )
    faults = (event for window in history.faults for event in _edn_fault(window))
    for index, (time_ns, fields) in enumerate(sorted([*operations, *faults], key=lambda event: event[0])):
        yield "{" + f":index {index}, :time {time_ns - history.start_ns}, " + fields + "}"


def porcupine(folder: Path) -> Iterator[str]:
    """The history of *folder* as ``porcupine.Event`` values in Go's JSON, one a line.

    ``Kind`` is false for a call and true for its return. Operations that failed did not happen and
    are left out. One whose outcome is unknown returns after everything else, with ``Unknown``: a
    model must accept any result of it, or that it had no effect.

    Raises:
        HistoryError: the history is damaged; names the line.
    """
    operations = History.load(folder).operations
    events: list[tuple[int, bool, dict[str, Any]]] = []
    last_ns = max((o.answered_ns for o in operations), default=0)
    for o in operations:
        if o.outcome is Outcome.FAIL:
            continue
        unknown = o.outcome is Outcome.INFO
        value = {"Operation": o.operation, "Key": o.key, "Value": o.value, "Unknown": unknown}
        event = {"ClientId": o.process, "Id": o.index, "Value": value}
        events.append((o.start_ns, False, {**event, "Kind": False}))
        events.append((last_ns if unknown else o.end_ns, True, {**event, "Kind": True}))
    # At the same moment calls come first: intervals are closed, so the two overlap.
    for _, _, event in sorted(events, key=lambda e: e[:2]):
        yield json.dumps(event, ensure_ascii=False)


FORMATS: Final[Mapping[str, Callable[[Path], Iterator[str]]]] = {"edn": edn, "porcupine": porcupine}


def _edn_operation(entry: Mapping[str, Any]) -> str:
    fields = {
        "type": _keyword(entry["type"]),
        "process": str(entry["process"]),
        "f": _keyword(entry["operation"]),
        "key": _edn(entry["key"]),
        "value": _edn(entry["value"]),
        "error": _edn(entry.get("error")),
    }
    return ", ".join(f":{name} {text}" for name, text in fields.items() if name != "error" or text != "nil")


def _edn_fault(window: FaultWindow) -> Iterator[tuple[int, str]]:
    value = _edn({"fault": window.fault, "on": window.on})
    moments = {"inject": (window.sent_ns, window.injected_ns), "heal": (window.heal_sent_ns, window.healed_ns)}
    for what, times in moments.items():
        for time_ns in times:
            yield time_ns, f":type :info, :process :nemesis, :f :{what}, :value {value}"


def _keyword(name: str) -> str:
    """A keyword where *name* can be one, else a string."""
    return f":{name}" if _SYMBOL.fullmatch(name) else _edn(name)


def _edn(value: object) -> str:
    """A JSON value in EDN."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_edn(k)} {_edn(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(_edn, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and value not in _LONG:
        return f"{value}N"
    # Numbers, booleans and strings are written alike, but for EDN having no \/ and no surrogates.
    return "nil" if value is None else json.dumps(value, ensure_ascii=False)
