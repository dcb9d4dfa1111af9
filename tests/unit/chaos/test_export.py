"""Others can read our histories: Jepsen's EDN, and the events of Porcupine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chaos.errors import HistoryError
from chaos.export import edn, porcupine
from chaos.history import Recorder

SAID = {"key": "k", "status": 200, "source": None, "retry_after": False, "attempts": 1, "error": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A write that is ok, a read of it, a write refused, one unknown, one never answered, a fault."""
    with Recorder(tmp_path, "T-1") as recorder:

        def invoke(process: int, operation: str, value: object) -> dict[str, Any]:
            fields = {"process": process, "operation": operation, "key": "k", "value": value}
            index = recorder.write("invoke", **fields, intended=1, idempotency_key=None)
            return {**SAID, **fields, "invoked": index}

        write, read = invoke(1, "write", 'a "quoted"\n\x07value'), invoke(2, "read", None)
        recorder.write("ok", **write)
        recorder.write("ok", **read | {"value": {"n": [1, 2.5, True, None, 2**63]}})
        recorder.write("fail", **invoke(1, "not a symbol", 3))
        recorder.write("info", **invoke(2, "write", 4) | {"status": None, "error": "TimeoutError"})
        invoke(3, "write", 5)
        moments = dict.fromkeys(("sent_ns", "injected_ns", "heal_sent_ns", "healed_ns"), 2**62)
        recorder.write("fault", fault="Down()", on="a.b", **moments)
    return tmp_path


TOKEN = re.compile(r'[\s,]*(?:("(?:[^"\\]|\\(?:[trn"\\]|u[0-9a-f]{4}))*")|([{}\[\]])|([^\s,{}\[\]"]+))')
WORDS = {"nil": None, "true": True, "false": False}


def parse(text: str) -> Any:
    """Strictly read one EDN value of the kinds that histories are made of."""
    tokens, at = [], 0
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found, f"no EDN at {text[at : at + 20]!r}"
        tokens.append(found[0].strip(" ,"))
        at = found.end()
    value, rest = _value(tokens)
    assert not rest
    return value


def _value(tokens: list[str]) -> tuple[Any, list[str]]:
    first, rest = tokens[0], tokens[1:]
    if first in {"{", "["}:
        items = []
        while rest[0] not in {"}", "]"}:
            item, rest = _value(rest)
            items.append(item)
        assert rest[0] == {"{": "}", "[": "]"}[first]
        return (items if first == "[" else dict(zip(items[::2], items[1::2], strict=True))), rest[1:]
    if first.startswith('"'):
        return json.loads(first), rest
    if first.startswith(":"):
        assert re.fullmatch(r":[A-Za-z*!_?$%&=<>+-][A-Za-z0-9*!_?$%&=<>+.-]*", first)
        return first, rest
    if first in WORDS:
        return WORDS[first], rest
    number = re.fullmatch(r"(-?\d+)(N?)|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)", first)
    assert number, first
    whole = int(number[1]) if number[1] else None
    assert whole is None or (abs(whole) >= 2**63) == bool(number[2])
    return (float(first) if whole is None else whole), rest


def test_edn_holds_every_operation_and_fault_in_order(folder: Path) -> None:
    """Invocations, completions and the nemesis, by time, with the values they had."""
    events = [parse(line) for line in edn(folder)]
    assert [e[":index"] for e in events] == list(range(len(events)))
    assert [e[":time"] for e in events] == sorted(e[":time"] for e in events)
    clients = [e for e in events if e[":process"] != ":nemesis"]
    assert [(e[":type"], e[":process"], e[":f"]) for e in clients] == [
        (":invoke", 1, ":write"),
        (":invoke", 2, ":read"),
        (":ok", 1, ":write"),
        (":ok", 2, ":read"),
        (":invoke", 1, "not a symbol"),
        (":fail", 1, "not a symbol"),
        (":invoke", 2, ":write"),
        (":info", 2, ":write"),
        (":invoke", 3, ":write"),
    ]
    assert [clients[n][":value"] for n in (0, 1, 3)] == [
        'a "quoted"\n\x07value',
        None,
        {"n": [1, 2.5, True, None, 2**63]},
    ]
    assert clients[7][":error"] == "TimeoutError"
    assert [e[":f"] for e in events if e[":process"] == ":nemesis"] == [":inject", ":inject", ":heal", ":heal"]


def test_porcupine_gets_calls_and_returns_without_what_failed(folder: Path) -> None:
    """Every call has its return; unknown ones return after everything else."""
    events = [json.loads(line) for line in porcupine(folder)]
    assert [(e["Id"], e["Kind"], e["Value"]["Unknown"]) for e in events] == [
        (1, False, False),
        (2, False, False),
        (1, True, False),
        (2, True, False),
        (7, False, True),
        (9, False, True),
        (7, True, True),
        (9, True, True),
    ]
    assert {tuple(e) for e in events} == {("ClientId", "Id", "Value", "Kind")}


def test_a_damaged_history_is_not_exported(folder: Path) -> None:
    """The line at fault is named."""
    path = folder / "history.jsonl"
    path.write_text(path.read_text().replace('"invoked":1', '"invoked":99'))
    for to in (edn, porcupine):
        with pytest.raises(HistoryError, match="line 4"):
            list(to(folder))
