"""A history is on disk before the request leaves, and is read back exactly or not at all."""

import json
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.checkers.limits import InFlight
from chaos.checkers.metrics import IN_FLIGHT, growth
from chaos.errors import HistoryError, LabError
from chaos.history import NEVER, History, Outcome, Recorder, Sample
from chaos.results.model import Verdict

GAUGE = IN_FLIGHT + '{service="a"}'
INVOKE = {"process": 1, "operation": "create", "key": None, "value": "v1", "intended": 1, "idempotency_key": "k"}
COMPLETE = {
    "process": 1,
    "operation": "create",
    "key": None,
    "value": "v1",
    "status": 201,
    "source": None,
    "retry_after": False,
    "attempts": 2,
    "error": None,
}


def write(folder: Path) -> None:
    """A small run: one operation completed, one never answered, one fault, one sample, one final read."""
    with Recorder(folder, "T-1") as recorder:
        first = recorder.write("invoke", **INVOKE)
        recorder.write("ok", invoked=first, **COMPLETE)
        recorder.write("invoke", **INVOKE | {"value": "v2"})
        recorder.write("fault", fault="Down()", on="a.b", sent_ns=1, injected_ns=2, heal_sent_ns=3, healed_ns=4)
        recorder.sample(Sample(time_ns=5, service="a", values={"x": 1.0}))
        recorder.write("final", value={"v1": 1})


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    """Operations, faults, samples and the final read survive the way through the file."""
    write(tmp_path)
    history = History.load(tmp_path)
    acknowledged, unknown = history.operations
    assert (acknowledged.outcome, acknowledged.status, acknowledged.attempts) == (Outcome.OK, 201, 2)
    assert (unknown.outcome, unknown.end_ns, unknown.value) == (Outcome.INFO, NEVER, "v2")
    assert history.faults[0].on == "a.b"
    assert history.samples[0].values == {"x": 1.0}
    assert history.final == {"v1": 1}


def test_what_a_service_calls_no_number_is_left_out(tmp_path: Path) -> None:
    """JSON has no NaN and no infinity, though metrics may."""
    values = {"x": 1.0, "nan": float("nan"), "inf": float("inf")}
    with Recorder(tmp_path, "T-1") as recorder:
        recorder.sample(Sample(time_ns=5, service="a", values=values))
    assert History.load(tmp_path).samples[0].values == {"x": 1.0}


def test_a_line_that_the_disk_takes_only_in_part_is_not_taken_for_written(tmp_path: Path) -> None:
    """The rest is written too, or there is an error; here the file may not grow any further."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Recorder(tmp_path, "T-1") as recorder:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "history.jsonl").stat().st_size + 10, unlimited[1]))
        try:
            with pytest.raises((LabError, OSError)):
                recorder.write("phase", name="a longer one")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


def test_an_operation_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    """The file already holds the invocation while the recorder is still open."""
    with Recorder(tmp_path, "T-1") as recorder:
        recorder.write("invoke", **INVOKE)
        assert History.load(tmp_path).operations[0].outcome is Outcome.INFO


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    """The rest of the history stays readable."""
    write(tmp_path)
    path = tmp_path / "history.jsonl"
    path.write_text(path.read_text()[:-10])
    assert len(History.load(tmp_path).operations) == 2


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda lines: lines[1:], "line 1"),
        (lambda lines: [lines[0], lines[2], lines[1]], "line 2: ValueError index 2, expected 1"),
        (lambda lines: [*lines, lines[2]], "before the line above"),
        (lambda lines: [lines[0], "[]\n"], "line 2: is a list"),
        (lambda lines: [lines[0], "{\n"], "line 2: is not JSON"),
        (lambda lines: [lines[0], lines[1].replace('"process":1,', "")], "line 2: KeyError 'process'"),
        (lambda lines: [lines[0].replace('"format":1', '"format":99')], "not a history of format 1"),
    ],
)
def test_damage_is_named_by_line(tmp_path: Path, damage: object, reason: str) -> None:
    """Reordered, duplicated, foreign or truncated lines are refused, never judged."""
    write(tmp_path)
    path = tmp_path / "history.jsonl"
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))  # type: ignore[operator]
    with pytest.raises(HistoryError, match=reason):
        History.load(tmp_path)


def test_a_missing_history_is_named(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(HistoryError, match=r"history\.jsonl: cannot be read"):
        History.load(tmp_path)


FOREIGN = st.integers(-1, 5) | st.floats() | st.none() | st.booleans() | st.lists(st.none())
NAMES = ["type", "time", "index", "invoked", "value", "format", "process", "operation", "key", "intended"]
LINES = st.lists(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.sampled_from(["history", "invoke", "ok", "fault", "final"]) | FOREIGN | st.dictionaries(st.text(), FOREIGN),
        max_size=9,
    ),
    max_size=6,
)
SERIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "time_ns": st.integers(-1, 2**64) | FOREIGN,
            "service": st.text() | FOREIGN,
            "values": st.dictionaries(st.sampled_from([GAUGE, "x"]), st.floats() | st.text() | FOREIGN) | FOREIGN,
        },
    )
    | FOREIGN,
    max_size=4,
)


@settings(max_examples=300)
@given(lines=LINES, series=SERIES)
def test_foreign_lines_raise_only_typed_errors(
    tmp_path_factory: pytest.TempPathFactory, lines: list[object], series: list[object]
) -> None:
    """Whatever stands in the two files, they are read and can be judged, or are refused with a HistoryError."""
    folder = tmp_path_factory.mktemp("foreign")
    for name, found in (("history", lines), ("series", series)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found))
    try:
        history = History.load(folder)
    except HistoryError as error:
        assert "line" in str(error)  # noqa: PT017  (either way is right; only the type matters)
        return
    assert InFlight(service="a", at_most=1)(history).verdict in Verdict
    assert growth(history, "x", 0, 9) >= 0


@settings(max_examples=300)
@given(series=SERIES)
def test_whatever_stands_in_the_series_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, series: list[object]
) -> None:
    """Beside a history that is in order."""
    folder = tmp_path_factory.mktemp("foreign")
    write(folder)
    (folder / "series.jsonl").write_text("".join(json.dumps(line) + "\n" for line in series))
    try:
        history = History.load(folder)
    except HistoryError as error:
        assert "series.jsonl line" in str(error)  # noqa: PT017  (either way is right; only the type matters)
        return
    assert len(history.samples) == len(series)
    assert InFlight(service="a", at_most=1)(history).verdict in Verdict
    assert growth(history, "x", 0, 9) >= 0


def test_a_full_disk_is_one_clear_error_with_a_way_out(tmp_path: Path) -> None:
    """The kernel's own full device stands in for the disk."""
    (tmp_path / "history.jsonl").symlink_to("/dev/full")
    with pytest.raises(LabError, match=r"no space left .* free some, or name another folder"):
        Recorder(tmp_path, "T-1")
