"""The report of a run: one HTML file that works offline, and beside it every lane as CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from chaos.errors import disk_errors
from chaos.report import clients, services
from chaos.report.events import events
from chaos.report.figure import BOTTOM_PX, figure, places
from chaos.report.lane import Lane
from chaos.report.legend import Group, legend
from chaos.report.run import Run
from chaos.report.sampled import Sampled
from chaos.report.strip import Tile, strip
from chaos.report.witness import Card, cards
from chaos.results.markdown import ICONS
from chaos.results.model import Result, Verdict

LANES_FOLDER: Final = "lanes"
"""Below the folder of a scenario: a CSV file for each lane."""


@dataclass(frozen=True)  # no slots: its lanes are made once, when they are first asked for
class Chapter:
    """One scenario in the report; without a run it has a verdict, but no picture."""

    result: Result
    run: Run | None = None

    @property
    def name(self) -> str:
        """Of its folder, unlike any other in the run: an experiment may be there with several safeguards off."""
        return self.result.folder.name or self.result.id

    @cached_property
    def _sampled(self) -> Sampled:
        return Sampled.of(self._there)

    @property
    def _there(self) -> Run:
        if self.run is None:
            msg = f"{self.result.id} has no history"
            raise LookupError(msg)
        return self.run

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the history should know."""
        return self.run.history.notes if self.run else ()

    @cached_property
    def cards(self) -> list[Card]:
        """The witnesses."""
        return cards(self._there) if self.run else []

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """The strip of figures."""
        return strip(self._there, self._sampled) if self.run else ()

    @cached_property
    def lanes(self) -> list[Lane]:
        """The lanes from above."""
        return lanes(self._there, self._sampled, self.cards) if self.run else []

    @property
    def legend(self) -> list[Group]:
        """The column beside the picture."""
        return legend(places(self.lanes))

    @property
    def height(self) -> int:
        """Of the picture, in pixels."""
        return places(self.lanes)[-1].bottom + BOTTOM_PX

    @property
    def picture(self) -> str:
        """The figure as JSON that may stand inside a script element."""
        return json.dumps(figure(self._there, self.lanes), separators=(",", ":")).replace("<", "\\u003c")


def lanes(run: Run, sampled: Sampled, witnesses: Sequence[Card] = ()) -> list[Lane]:
    """Every lane of a run, in the order of the page."""
    return [
        services.faults(run, sampled),
        clients.rates(run),
        clients.success(run),
        *clients.latency(run),
        services.breakers(run, sampled),
        services.attempts(run, sampled, clients.attempts(run)),
        clients.cache(run),
        services.pools(run, sampled),
        events(run, sampled, witnesses),
    ]


def render(chapters: Sequence[Chapter], summary: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        chapters: in the order in which they are shown.
        summary: of the run, shown at its head and foot.
    """
    environment = Environment(
        loader=PackageLoader("chaos.report"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        chapters=chapters,
        summary=summary,
        counts=Counter(c.result.verdict for c in chapters),
        icons=ICONS,
        verdicts=list(Verdict),
        plotly=get_plotlyjs(),
        plotly_version=get_plotlyjs_version(),
        lanes_folder=LANES_FOLDER,
    )


def load(results: Sequence[Result]) -> list[Chapter]:
    """A chapter for each result, from the histories in its folder.

    Raises:
        HistoryError: a history is damaged.
    """
    return [Chapter(r, Run.load(r) if (r.folder / "history.jsonl").exists() else None) for r in results]


def write(folder: Path, chapters: Sequence[Chapter], summary: Mapping[str, Any]) -> Path:
    """Write ``report.html`` into a run's *folder*, and each scenario's lanes as CSV into its own; returns the page."""
    path = folder / "report.html"
    with disk_errors(folder):
        for chapter in chapters:
            _write_csv(chapter)
        path.write_text(render(chapters, summary), encoding="utf-8")
    return path


def _write_csv(chapter: Chapter) -> None:
    folder = chapter.result.folder / LANES_FOLDER
    if chapter.lanes:
        folder.mkdir(exist_ok=True)
    for lane in chapter.lanes:
        (folder / f"{lane.name}.csv").write_text(lane.csv(), encoding="utf-8")
