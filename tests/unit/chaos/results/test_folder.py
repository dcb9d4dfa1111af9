"""What a run leaves for CI: valid JUnit, Markdown that no text can break, the summary page of a job."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.errors import HistoryError, UsageError
from chaos.results import folder as results
from chaos.results.junit import junit
from chaos.results.markdown import markdown
from chaos.results.model import Finding, Result, Verdict

ENDED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def result(verdict: Verdict = Verdict.HELD, says: str = "12 checks held", **more: object) -> Result:
    """One scenario's result."""
    given_ = {"id": "T-1", "title": "a title", "hypothesis": "h", "verdict": verdict, "says": says, "wall_s": 1.5}
    return Result(**given_ | more)  # type: ignore[arg-type]  # the test knows


ALL = [result(verdict) for verdict in Verdict]


def test_junit_has_the_shape_that_readers_agree_on() -> None:
    """Attributes and children as the common schemas want them, in their order."""
    root = ET.fromstring(junit(ALL, wall_s=6, ended=ENDED, properties={"commit": "abc"}))  # noqa: S314  (our own)
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    wanted = {"name": "resilience", "tests": "4", "failures": "1", "errors": "2", "time": "6.000"}
    assert root.attrib == wanted
    assert suite.attrib == wanted | {"timestamp": "2026-01-02T03:04:05", "hostname": "localhost"}
    assert [child.tag for child in suite] == ["properties", *["testcase"] * 4, "system-out", "system-err"]
    assert suite[0][0].attrib == {"name": "commit", "value": "abc"}
    troubles = [[(t.tag, t.attrib["type"]) for t in case] for case in suite.iter("testcase")]
    assert troubles == [[], [("error", "INCONCLUSIVE")], [("error", "INVALID")], [("failure", "REFUTED")]]
    assert {tuple(case.attrib) for case in suite.iter("testcase")} == {("classname", "name", "time")}


@given(st.text())
def test_junit_is_wellformed_whatever_is_said(text: str) -> None:
    """Also with characters that XML cannot hold."""
    text = text.encode("utf-8", "replace").decode()
    finding = Finding(check=text, verdict=Verdict.REFUTED, says=text, checked=1, witness=(text,))
    document = junit(
        [result(Verdict.REFUTED, says=text, title=text, findings=(finding,))],
        wall_s=1,
        ended=ENDED,
        properties={text: text},
    )
    assert ET.fromstring(document).attrib["failures"] == "1"  # noqa: S314  (our own)


def test_the_markdown_names_every_scenario_and_the_evidence() -> None:
    """A row for each, and for what did not hold everything that speaks about it."""
    finding = Finding(check="c", verdict=Verdict.REFUTED, says="90 | calls <b>", checked=1, witness=("at 2 s",))
    found = [
        result(),
        result(Verdict.REFUTED, says="90 | calls <b>", findings=(finding,), targets=(("a.b", "Down()"),)),
    ]
    text = markdown(found, {v.lower(): int(v in {"HELD", "REFUTED"}) for v in Verdict} | {"wall_s": 3, "workers": 2})
    assert "## Resilience: 1 held, 1 refuted" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1] == "| ✓ held | T-1 a title |  | 12 checks held | 1.5 s |"
    assert rows[2] == "| ✗ refuted | T-1 a title | Down() on a.b | 90 \\| calls \\<b\\> | 1.5 s |"
    assert "    REFUTED: c: 90 | calls <b>\n        at 2 s" in text


def test_finishing_writes_all_files_and_the_summary_is_read_back(tmp_path: Path) -> None:
    """Summary as JSON and Markdown, JUnit and matrix; the commit is unknown outside a repository."""
    summary = results.finish(tmp_path, ALL, wall_s=6, workers=2)
    assert {p.name for p in tmp_path.iterdir()} == {"summary.json", "summary.md", "junit.xml", "matrix.json"}
    assert results.load_summary(tmp_path) == summary
    assert summary["provenance"]["commit"] == "unknown"


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"scenarios": 1}', "null"])
def test_a_damaged_summary_is_named(tmp_path: Path, content: str | None) -> None:
    """Missing, cut short or of something else."""
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(HistoryError, match=r"summary\.json: is not the summary of a run"):
        results.load_summary(tmp_path)


def test_the_summary_is_appended_to_the_page_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After what is there already; nothing happens where no page is named."""
    results.finish(tmp_path, ALL, wall_s=6, workers=2)
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    results.publish(tmp_path)
    assert page.read_text() == "before\n"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    results.publish(tmp_path)
    assert page.read_text() == "before\n" + (tmp_path / "summary.md").read_text()


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable, the value and the way out."""
    results.finish(tmp_path, ALL, wall_s=6, workers=2)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "page.md"))
    with pytest.raises(UsageError, match=r"GITHUB_STEP_SUMMARY names .*page\.md.*correct or unset it"):
        results.publish(tmp_path)
