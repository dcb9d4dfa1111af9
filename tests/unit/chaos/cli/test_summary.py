"""Sparklines on every terminal, and pictures from a browser that is there, not there or broken."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from chaos.cli.images import draw, find_browser
from chaos.cli.summary import sparklines
from chaos.errors import LabError, MissingToolError
from chaos.report.page import Chapter
from chaos.report.run import Happening, Run
from chaos.results.model import Bite, Result, Verdict
from tests.support.histories import fault, history, op, samples


@pytest.fixture
def chapter(tmp_path: Path) -> Chapter:
    """A second of failures in the middle of ten, and a breaker that opens."""
    requests = [op(i / 50, status=503 if 250 <= i < 300 else 200, took_ms=20) for i in range(500)]
    states = samples("resilience_breaker_state", {i / 10: 2 if 50 <= i < 60 else 0 for i in range(100)})
    result = Result(
        id="T-1", title="t", hypothesis="h", verdict=Verdict.REFUTED, says="s", folder=tmp_path, steady_share=0.99
    )
    return Chapter(result, Run.of(result, history(requests, faults=[fault(5, 6)], sampled=states)))


def printed(chapter: Chapter, width: int, encoding: str = "utf-8", **more: object) -> str:
    """What a terminal of that width shows."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, **more)  # type: ignore[arg-type]  # the test knows
    console.print(sparklines([chapter], console))
    file.flush()
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]  # a BytesIO


@pytest.mark.parametrize("width", [40, 80, 110, 200])
def test_the_worst_moment_shows_at_every_width(chapter: Chapter, width: int) -> None:
    """Success dips, the breaker opens, the figures stand beside it, and no line is wider than the terminal."""
    text = printed(chapter, width)
    assert max(map(len, text.splitlines())) <= width
    for part in ("✗ refuted", "T-1", "▁", "█", "─", "least 0%", "most 20 ms", "open"):
        assert part in text


def test_a_terminal_without_unicode_gets_plain_signs(chapter: Chapter) -> None:
    """The sparklines are ASCII then."""
    text = printed(chapter, 100, encoding="ascii")
    assert "_" in text
    assert "-#" in text


def test_without_colours_nothing_is_lost(chapter: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR leaves no colour codes, and the same characters."""
    plain = printed(chapter, 120)
    monkeypatch.setenv("NO_COLOR", "1")
    bare = printed(chapter, 120, force_terminal=True)
    assert "\x1b[3" not in bare
    assert [c for c in plain if c in "▁█─"] == [c for c in bare if c in "▁█─"]


def test_what_was_not_measured_is_called_so(tmp_path: Path) -> None:
    """A run without requests has no sparklines to show, and says of what."""
    result = Result(id="T-2", title="t", hypothesis="h", verdict=Verdict.INVALID, says="s", folder=tmp_path)
    text = printed(Chapter(result, Run.of(result, history())), 120)
    assert text.rstrip().endswith(
        "not measured: faults, answered, success, p99, breakers, attempts, hits, pools, events"
    )


def test_every_lane_of_the_page_that_has_data_is_there(tmp_path: Path) -> None:
    """Also faults as high as measured, rate, attempts, cache, pools and events; three beside each other at 120."""
    requests = [op(i / 50, source="miss" if 250 <= i < 300 else "hit") for i in range(500)]
    edge = [
        *samples("resilience_calls_total", {0.1: 0, 4.9: 10, 5.9: 20, 9.9: 30}, outcome="ok"),
        *samples("resilience_attempts_total", {0.1: 0, 4.9: 10, 5.9: 40, 9.9: 50}),
        *samples("pool_connections_in_use", {0.1: 1, 5.0: 7, 9.9: 1}),
        *samples("resilience_breaker_state", {i / 10: 0 for i in range(100)}),
    ]
    late = fault(5, 6)
    bite = Bite(on="a.b", expected="e", measured="m", held=True, late_ms=1000, sent_ns=late.sent_ns)
    result = Result(id="T-3", title="t", hypothesis="h", verdict=Verdict.HELD, says="s", bites=(bite,), folder=tmp_path)
    happenings = [Happening(at_s=5, kind="inject", says="inject"), Happening(at_s=6, kind="heal", says="heal")]
    run = Run.of(result, history(requests, faults=[late], sampled=edge), happenings)
    lines = printed(Chapter(result, run), 120).splitlines()
    assert len(lines) == 1 + 3
    assert "not measured" not in lines[0]
    unproved = Run.of(replace(result, bites=()), history(requests, faults=[late]))
    flat = printed(Chapter(result, unproved), 40).splitlines()[1].split()
    assert flat == ["faults", "▁▁", "not", "measured"]
    text = "\n".join(lines)
    words = ("faults", "1000 ms late", "most 52/s", "most 3", "least 0%", "most 7", "closed", "◆", "2 events")
    assert [word for word in words if word not in text] == []


def test_no_browser_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what was looked for, how to get it, and what works without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHAOS_LAB_BROWSER", raising=False)
    with pytest.raises(MissingToolError, match=r"none of chromium, .* on PATH.*apt-get install chromium.*button"):
        find_browser()
    monkeypatch.setenv("CHAOS_LAB_BROWSER", "/no/such/browser")
    with pytest.raises(MissingToolError, match="CHAOS_LAB_BROWSER names '/no/such/browser', which is no program"):
        find_browser()


def program(path: Path, script: str) -> Path:
    """A program at *path*."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_pictures_are_written_as_the_browser_hands_them_back(chapter: Chapter, tmp_path: Path) -> None:
    """SVG as text, PNG as bytes, beside the CSV files."""
    (tmp_path / "lanes").mkdir()
    images = {"all.svg": "data:image/svg+xml,%3Csvg%3E%C3%A9", "all.png": "data:image/png;base64,iVBO"}
    dumped = json.dumps(images).replace('"', "&quot;")
    browser = program(tmp_path / "browser", f"cat <<'END'\n<html><pre id=\"images\">{dumped}</pre></html>\nEND")
    paths = draw(tmp_path / "report.html", [chapter], browser)
    assert [path.name for path in paths] == ["all.svg", "all.png"]
    assert (tmp_path / "lanes" / "all.svg").read_text(encoding="utf-8") == "<svg>é"
    assert (tmp_path / "lanes" / "all.png").read_bytes() == b"\x89PN"


def test_a_browser_that_fails_is_quoted(chapter: Chapter, tmp_path: Path) -> None:
    """With its exit code and its last words."""
    browser = program(tmp_path / "browser", "echo no display >&2; exit 7")
    with pytest.raises(LabError, match="ended with 7 and no pictures: no display"):
        draw(tmp_path / "report.html", [chapter], browser)
