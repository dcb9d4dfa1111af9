"""What the report says in words: the strip of figures, the witnesses, the page."""

from dataclasses import replace
from pathlib import Path

import pytest

from chaos.history import History, Outcome, Recorder
from chaos.report.page import Chapter, load, render, write
from chaos.report.run import Run
from chaos.report.sampled import Sampled
from chaos.report.strip import NOT_MEASURED, strip
from chaos.report.witness import cards
from chaos.results import folder as results
from chaos.results.model import Finding, Result, Verdict
from tests.support.histories import fault, history, op, samples

SUMMARY = {"scenarios": 1, "held": 1, "refuted": 0, "invalid": 0, "inconclusive": 0, "wall_s": 1.0, "workers": 1}


def finding(verdict: Verdict = Verdict.HELD, **more: object) -> Finding:
    """A finding about ten things."""
    return Finding(**{"check": "c", "verdict": verdict, "says": "s", "checked": 10} | more)  # type: ignore[arg-type]  # the test knows


def run_of(recorded: History, *findings: Finding, **more: object) -> Run:
    """*recorded* as a run with *findings*."""
    given = {"id": "T-1", "title": "t", "hypothesis": "h", "verdict": Verdict.HELD, "says": "s"} | more
    return Run.of(Result(**given, findings=findings), recorded)  # type: ignore[arg-type]  # the test knows


def told(run: Run) -> dict[str, str]:
    """The strip's figures by name."""
    return {tile.name: tile.value for tile in strip(run, Sampled.of(run))}


def test_what_was_not_measured_is_called_so() -> None:
    """An empty history has no figure at all."""
    assert set(told(run_of(history())).values()) == {NOT_MEASURED}


def test_figures_of_the_checkers_come_first() -> None:
    """What findings measured is shown, the slowest of several."""
    run = run_of(
        history([op(1), op(2, outcome=Outcome.FAIL, status=404)], faults=[fault(3, 4)]),
        finding(measured={"opened_s": 0.4, "never": 0}),
        finding(measured={"opened_s": 0.9, "never": 0}),
        finding(measured={"recovery_s": 1.25}),
        finding(measured={"acknowledged": 30, "lost_acknowledged_write": 2}),
        finding(measured={"oldest_s": 12.5}),
    )
    assert told(run) == {
        "Time to open": "0.90 s",
        "Time to recover": "1.25 s",
        "Requests failed": "1 of 2",
        "Retries amplified": "1.00 to 1",
        "Writes lost": "2",
        "Staleness": "12.50 s",
        "Undo time": "0 ms",
    }


def test_a_finding_that_checked_nothing_measured_nothing() -> None:
    """Its figures are not shown."""
    run = run_of(history(), finding(Verdict.INVALID, checked=0, measured={"recovery_s": 0.0}))
    assert told(run)["Time to recover"] == NOT_MEASURED


def test_answers_that_tell_their_age_are_believed() -> None:
    """Where no checker looked at staleness, the oldest answer is shown."""
    old = replace(op(1, source="stale"), age_s=7.5)
    assert told(run_of(history([op(0.5), old])))["Staleness"] == "7.50 s"


def test_a_breaker_that_never_opened_is_not_a_fast_one() -> None:
    """The strip says never."""
    run = run_of(history(faults=[fault(1, 2)]), finding(measured={"opened_s": 0.0, "never": 1}))
    assert told(run)["Time to open"] == "never opened"


def test_the_history_tells_where_no_checker_looked() -> None:
    """The first open sample on the broken edge, and the first ok after healing."""
    states = samples("resilience_breaker_state", {0.9: 0, 1.1: 0, 1.5: 2, 1.9: 2, 3.0: 0})
    run = run_of(history([op(3.5, took_ms=500)], faults=[fault(1, 3)], sampled=states))
    assert (told(run)["Time to open"], told(run)["Time to recover"]) == ("0.50 s", "1.00 s")


@pytest.mark.parametrize(
    ("witness", "window"),
    [
        ("read #2000 sent at 2.00 s: 503 after 100 ms", (1.5, 2.6)),
        ("the value went back between 4.00 s and 6.00 s", (3.5, 6.5)),
        ("#77 and #78 disagree", None),
        ("at 400 s", None),
    ],
)
def test_a_witness_leads_to_its_moment(witness: str, window: tuple[float, float] | None) -> None:
    """By the operation that it names, else by the moments in its words; one that names none leads nowhere."""
    run = run_of(history([op(2, took_ms=100)]), finding(Verdict.REFUTED, witness=(witness,)))
    (card,) = cards(run)
    assert (None if card.at_s is None else (card.start_s, card.end_s)) == window


def test_a_refuted_check_without_a_witness_leads_to_the_fault() -> None:
    """What did not happen, did not happen there."""
    (card,) = cards(run_of(history(faults=[fault(4, 6)]), finding(Verdict.REFUTED), finding()))
    assert (card.at_s, card.start_s, card.end_s) == (4.0, 3.5, 6.5)


def test_text_of_a_run_cannot_become_markup() -> None:
    """Neither in the page nor in the data of the picture."""
    evil = "</script><img src=x onerror=alert(1)>"
    run = run_of(history([op(1, operation=evil)]), title=evil, says=evil)
    html = render([Chapter(run.result, run)], SUMMARY)
    assert evil not in html
    assert "<img src=x" not in html


def test_an_operation_of_any_name_has_a_file_of_its_own(tmp_path: Path) -> None:
    """Its lane's file stays inside the folder, and links to it are escaped."""
    run = run_of(history([op(1, operation="../a b"), op(2, operation="..-a b")]), folder=tmp_path / "T-1")
    (tmp_path / "T-1").mkdir()
    written = write(tmp_path, [Chapter(run.result, run)], SUMMARY).read_text(encoding="utf-8")
    files = {path.name for path in (tmp_path / "T-1" / "lanes").iterdir() if "latency" in path.name}
    assert files == {"latency-..%2Fa%20b.csv", "latency-..-a%20b.csv"}
    assert 'href="T-1/lanes/latency-..%252Fa%2520b.csv"' in written


def test_a_saved_folder_is_read_with_its_phases_and_time(tmp_path: Path) -> None:
    """Phases, faults sent and the time of day come from the history's own lines."""
    with Recorder(tmp_path / "T-1", "T-1") as recorder:
        recorder.write("phase", name="steady state")
        recorder.write("inject", fault="Down()", on="a.b")
    result = Result(
        id="T-1", title="t", hypothesis="h", verdict=Verdict.HELD, says="s", folder=tmp_path / "T-1", steady_share=0.9
    )
    results.save(result)
    (chapter,) = load(results.load_all(tmp_path))
    assert chapter.run is not None
    assert [h.says for h in chapter.run.happenings] == ["steady state", "inject Down() on a.b"]
    assert chapter.run.utc(0).endswith(" UTC")
    assert chapter.result.steady_share == 0.9
