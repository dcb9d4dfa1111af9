"""The report of a run: one HTML file that works offline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from plotly.offline import get_plotlyjs

from chaos.history import History
from chaos.report.lanes import figure
from chaos.results.model import Result, Verdict

ICONS: Mapping[Verdict, str] = {
    Verdict.HELD: "✓",
    Verdict.REFUTED: "✗",
    Verdict.INVALID: "∅",
    Verdict.INCONCLUSIVE: "?",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """One scenario in the report: what it came to, and its picture as Plotly's JSON."""

    result: Result
    picture: str


def render(results: Sequence[Result], histories: Mapping[str, History], summary: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        results: in the order in which they are shown.
        histories: by scenario id; a scenario without one is shown without a picture.
        summary: of the run, shown in the footer.
    """
    chapters = [
        Chapter(result=r, picture=figure(histories[r.id]).to_json() if r.id in histories else "null") for r in results
    ]
    environment = Environment(
        loader=PackageLoader("chaos.report"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        chapters=chapters,
        summary=summary,
        counts=Counter(r.verdict for r in results),
        icons=ICONS,
        verdicts=list(Verdict),
        plotly=get_plotlyjs(),
    )


def write(folder: Path, results: Sequence[Result], summary: Mapping[str, Any]) -> Path:
    """Write ``report.html`` into a run's *folder* from the histories beside it; returns its path."""
    histories = {r.id: History.load(r.folder) for r in results if (r.folder / "history.jsonl").exists()}
    path = folder / "report.html"
    path.write_text(render(results, histories, summary), encoding="utf-8")
    return path
