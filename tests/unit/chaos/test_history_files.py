"""However a file is damaged, both readers refuse it in the same words or read the same operations."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaos.checkers.register import Register
from chaos.checkers.staleness import Staleness
from chaos.errors import HistoryError
from chaos.history import History, Outcome, Recorder
from chaos.history.columns import Columns
from chaos.history.fast import read_columns

ARRAYS = ("index", "process", "intended", "start", "end", "answered", "outcome")
Lines = list[dict[str, Any]]


def lines(count: int = 6, *, text: bool = False) -> Lines:
    """A history of *count* writes and reads by two processes, a fault and a final read."""
    found: Lines = [{"index": 0, "time": 10, "type": "history", "format": 1, "scenario": "s"}]

    def add(kind: str, **fields: Any) -> int:
        found.append({"index": len(found), "time": 10 + len(found), "type": kind, **fields})
        return len(found) - 1

    held: Any = None
    for number in range(count):
        kind = "read" if number % 2 else "write"
        value = None if kind == "read" else f"v{number}" if text else number
        of = {"process": number % 2, "operation": kind, "key": "k"}
        invoked = add("invoke", **of, value=value, intended=1, idempotency_key=None)
        held = value if kind == "write" else held
        outcome = Outcome.INFO if number == 4 else Outcome.OK
        answer = {"status": 200, "source": None, "retry_after": False, "attempts": 1, "error": None}
        add(outcome, invoked=invoked, **of, value=held, **answer)
    add("fault", fault="Down()", on="a.b", sent_ns=1, injected_ns=2, heal_sent_ns=3, healed_ns=4)
    add("invoke", process=7, operation="read", key="k", value=None, intended=1, idempotency_key=None)
    add("final", value={"1": 1})
    return found


def save(folder: Path, text: str) -> Path:
    """Write *text* as the history of *folder*."""
    (folder / "history.jsonl").write_text(text, encoding="utf-8")
    (folder / "series.jsonl").write_text("", encoding="utf-8")
    return folder


def dumped(found: Lines) -> str:
    """The lines as text."""
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in found)


def texts(columns: Columns) -> list[tuple[Any, ...]]:
    """What the codes of *columns* stand for."""
    return [
        (columns.kinds[k], columns.keys[y], columns.values[w], columns.values[v])
        for k, y, w, v in zip(columns.kind, columns.key, columns.wrote, columns.value, strict=True)
    ]


@pytest.mark.parametrize("text", [False, True], ids=["integers", "texts"])
def test_both_readers_read_the_same(tmp_path: Path, text: bool) -> None:  # noqa: FBT001  (a parameter)
    """Operations, faults, the final read and the run's times; findings too."""
    folder = save(tmp_path, dumped(lines(40, text=text)))
    history, (columns, rest) = History.load(folder), read_columns(folder, worth_it=0)
    slow = Columns.of(history.operations)
    assert all(np.array_equal(getattr(slow, name), getattr(columns, name)) for name in ARRAYS)
    assert texts(columns) == texts(slow)
    assert not isinstance(columns.values, list), "the fast way was not taken"
    assert (rest.faults, rest.final, rest.start_ns, rest.end_ns) == (
        history.faults,
        history.final,
        history.start_ns,
        history.end_ns,
    )
    assert Register().of_columns(columns, rest) == Register()(history)
    assert Staleness(within_ms=1).of_columns(columns, rest) == Staleness(within_ms=1)(history)


def test_a_last_line_cut_short_is_left_out_and_said(tmp_path: Path) -> None:
    """By both readers; the operation that it completed is unknown."""
    whole = dumped(lines(40)[:-3])
    folder = save(tmp_path, whole[:-20])
    history, (columns, rest) = History.load(folder), read_columns(folder, worth_it=0)
    assert history.notes == rest.notes == ("the last line was cut short and is left out",)
    assert history.operations[-1].outcome is Outcome.INFO
    assert len(columns.index) == len(history.operations)
    assert History.load(save(tmp_path, whole)).notes == ()


def _with(place: int, **fields: Any) -> Any:
    return lambda found: [*found[:place], found[place] | fields, *found[place + 1 :]]


DAMAGE = {
    "a line is missing": (lambda found: found[:3] + found[4:], "line 4: .* index 4, expected 3"),
    "a line stands twice": (lambda found: found[:4] + found[3:], "line 5: .* index 3, expected 4"),
    "two lines are exchanged": (lambda found: [*found[:3], found[4], found[3], *found[5:]], "line 4: .* index"),
    "the start is missing": (lambda found: found[5:], "line 1"),
    "the clock goes back": (_with(4, time=11), "line 5: .* time 11 is before the line above"),
    "an answer is another process's": (_with(4, process=9), "line 5: .* process 9 completes operation 3"),
    "an answer is to another operation": (_with(4, operation="write"), "line 5: .* operation 'write' completes"),
    "a process sends twice at once": (
        lambda found: [*found[:-1], {**found[-2], "index": len(found) - 1, "time": 99}],
        "process 7 sends while its operation 14 is under way",
    ),
    "an answer answers nothing": (_with(4, invoked=99), "line 5: .* not under way"),
    "a question is answered twice": (_with(6, invoked=3), "line 7: .* not under way"),
    "another history begins": (_with(5, type="history", format=1), "line 6: .* another history begins"),
    "a type is unknown": (_with(5, type="guess"), "line 6: KeyError 'guess'"),
    "a process is no number": (_with(3, process="1"), "line 4: TypeError process is '1', expected int"),
    "a time is a truth value": (_with(3, time=True), "line 4: TypeError time is True"),
    "a time is beyond all clocks": (_with(3, time=2**63), "line 4: TypeError time"),
    "an answer lacks its value": (
        lambda found: [*found[:4], {k: v for k, v in found[4].items() if k != "value"}, *found[5:]],
        "line 5: KeyError 'value'",
    ),
    "an answer is about another key": (
        _with(4, key="other"),
        "line 5: .* key 'other' completes operation 3 of key 'k'",
    ),
    "an answer has lost its key": (_with(4, key=None), "line 5: .* key None completes operation 3 of key 'k'"),
    "a count is no whole number": (_with(15, value={"a": 1.9}), "line 16: TypeError final 'a' is 1.9, expected int"),
    "a count is a truth value": (_with(15, value={"a": True}), "line 16: TypeError final 'a' is True, expected int"),
    "a count is a text": (_with(15, value={"a": "1"}), "line 16: TypeError final 'a' is '1', expected int"),
    "the counts are no object": (_with(15, value=[1]), "line 16: .*final is .1., expected dict"),
    "a fault ends before it starts": (_with(13, healed_ns=0), "line 14: .* from its sending to its healing"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_by_line_whichever_way_it_is_read(tmp_path: Path, name: str) -> None:
    """The same typed error, with line and reason."""
    damage, reason = DAMAGE[name]
    folder = save(tmp_path, dumped(damage(lines())))
    with pytest.raises(HistoryError, match=reason):
        History.load(folder)
    with pytest.raises(HistoryError, match=reason):
        read_columns(folder, worth_it=0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: is missing: the file is empty"),
        ('{"index":0,"index":0}\n', "line 1: is not JSON: a name stands there twice"),
        ("\x00\n", "line 1: is not JSON"),
        ('{"index":0,"time":NaN}\n', "line 1: is not JSON: NaN"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """An empty file, a name twice in a line, bytes of something else."""
    with pytest.raises(HistoryError, match=reason):
        History.load(save(tmp_path, text))


@pytest.mark.parametrize("place", [0, 13, 15], ids=["first line", "fault", "final read"])
def test_a_name_that_stands_twice_is_refused_whichever_way_it_is_read(tmp_path: Path, place: int) -> None:
    """In the lines that the fast reader takes from the first as well."""
    found = dumped(lines()).splitlines()
    found[place] = found[place].replace('"type":', '"x":1,"x":2,"type":')
    folder = save(tmp_path, "\n".join(found) + "\n")
    for read in (History.load, lambda path: read_columns(path, worth_it=0)):
        with pytest.raises(HistoryError, match=f"line {place + 1}: is not JSON: a name stands there twice"):
            read(folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"time_ns":1}', "is no sample"),
        ('{"time_ns":"1","service":"a","values":{}}', "is no sample"),
        ('{"time_ns":-1,"service":"a","values":{}}', "is no sample"),
        ("[]", "is a list"),
        ('{"time_ns":1,"service":"a","values":{"x":"1"}}', "is no sample: x is '1', expected a finite number"),
        ('{"time_ns":1,"service":"a","values":{"x":null}}', "is no sample: x is None, expected a finite number"),
        ('{"time_ns":1,"service":"a","values":{"x":true}}', "is no sample: x is True, expected a finite number"),
        ('{"time_ns":1,"service":"a","values":{"x":1e999}}', "is no sample: x is inf, expected a finite number"),
        ('{"time_ns":1,"service":"a","values":{"x":NaN}}', "is not JSON: NaN"),
    ],
)
def test_a_damaged_series_is_refused_by_line(tmp_path: Path, line: str, reason: str) -> None:
    """A sample that is none is named, whichever way the history is read."""
    folder = save(tmp_path, dumped(lines()))
    (folder / "series.jsonl").write_text('{"time_ns":0,"service":"a","values":{"x":1}}\n' + line + "\n")
    for read in (History.load, lambda path: read_columns(path, worth_it=0)):
        with pytest.raises(HistoryError, match=rf"series\.jsonl line 2: {reason}"):
            read(folder)


def test_samples_stand_in_the_order_of_their_times(tmp_path: Path) -> None:
    """A slow look is written after a quick one that began later: the line says when it began."""
    folder = save(tmp_path, dumped(lines()))
    looks = [{"time_ns": time, "service": "a", "values": {"x": time}} for time in (2, 1, 3)]
    (folder / "series.jsonl").write_text(dumped(looks))
    history, (_, rest) = History.load(folder), read_columns(folder, worth_it=0)
    assert [s.time_ns for s in history.samples] == [s.time_ns for s in rest.samples] == [1, 2, 3]


def test_what_stores_held_is_read_as_snapshots(tmp_path: Path) -> None:
    """During the run and at its end, beside the counts of a final read."""
    found = lines(2)
    number = len(found)
    stores = {"db": {"a": 1}, "cache": {}}
    found.append({"index": number, "time": 99, "type": "snapshot", "stores": stores})
    found.append({"index": number + 1, "time": 100, "type": "final", "value": {"a": 1}, "stores": stores})
    history = History.load(save(tmp_path, dumped(found)))
    assert [s.time_ns for s in history.snapshots] == [99, 100]
    assert history.snapshots[0].stores == stores
    assert history.final == {"a": 1}


def test_the_recorders_own_files_are_read_the_fast_way(tmp_path: Path) -> None:
    """What is written today is what the fast reader expects."""
    with Recorder(tmp_path, "T") as recorder:
        for number in range(20):
            of = {"process": 1, "operation": "write", "key": "k", "value": number}
            invoked = recorder.write("invoke", **of, intended=1, idempotency_key=None)
            answer = {"status": 200, "source": None, "retry_after": False, "attempts": 1, "error": None}
            recorder.write("ok", invoked=invoked, **of, **answer)
    columns, _ = read_columns(tmp_path, worth_it=0)
    assert not isinstance(columns.values, list)
    assert texts(columns) == texts(Columns.of(History.load(tmp_path).operations))


LOOKED_AT = ["index", "time", "type", "invoked", "process", "operation", "key", "value", "intended", "format", "on"]
LOOKED_AT += ["healed_ns", "stores"]
"""The fast reader passes over fields that no column needs, such as an answer's status."""
DAMAGES = ["drop", "double", "exchange", "cut", "blank"]
VALUES = st.none() | st.booleans() | st.integers(-2, 2**64) | st.sampled_from(["k", "ok", "read", ""])
VALUES |= st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [[1], {"a": True}, {"a": -1}, {"a": 1.0}, {"db": {"x": [1]}}, {"db": 1}]
)


@settings(max_examples=300)
@given(
    damage=st.lists(
        st.tuples(st.integers(0, 15), st.sampled_from(LOOKED_AT), VALUES)
        | st.tuples(st.integers(0, 15), st.sampled_from(DAMAGES), st.integers(0, 60)),
        min_size=1,
        max_size=3,
    )
)
@example(damage=[(15, "cut", 0)])
@example(damage=[(3, "blank", 0)])
@example(damage=[(3, "value", math.inf), (4, "time", math.nan)])
def test_no_damage_makes_the_two_readers_disagree(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, str, Any]]
) -> None:
    """Whatever was done to a file: both refuse it, or both read the same and come to the same finding."""
    found = [json.dumps(line, separators=(",", ":")) for line in lines()]
    for place, name, value in damage:
        found = _damaged(found, place % len(found), name, value) or found
    folder = save(tmp_path_factory.mktemp("damaged"), "\n".join(found) + "\n")
    slow, fast = _outcome(folder, quick=False), _outcome(folder, quick=True)
    assert slow == fast


def _damaged(found: list[str], place: int, name: str, value: Any) -> list[str]:
    before, line, after = found[:place], found[place], found[place + 1 :]
    if name == "exchange":
        return [*before, *after[:1], line, *after[1:]]
    if name in DAMAGES:
        instead = {"drop": [], "double": [line, line], "cut": [line[:value]], "blank": [" " * value, line]}
        return [*before, *instead[name], *after]
    try:
        changed = json.loads(line) | {name: value}
    except ValueError:
        return found
    return [*before, json.dumps(changed, separators=(",", ":")), *after]


def _outcome(folder: Path, *, quick: bool) -> object:
    try:
        if quick:
            columns, rest = read_columns(folder, worth_it=0)
        else:
            rest = History.load(folder)
            columns = Columns.of(rest.operations)
        finding = Register().of_columns(columns, rest)
    except HistoryError as error:
        return str(error)
    return finding, texts(columns), [getattr(columns, name).tolist() for name in ARRAYS]
