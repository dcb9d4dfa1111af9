"""What a person sees while experiments run: a live table on a terminal, lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaos.experiment import Experiment
from chaos.results.model import Verdict
from chaos.runner import News

STYLES: Final = {
    Verdict.HELD: ("✓ held", "green"),
    Verdict.REFUTED: ("✗ refuted", "bold red"),
    Verdict.INVALID: ("∅ invalid", "yellow"),
    Verdict.INCONCLUSIVE: ("? inconclusive", "yellow"),
}


def verdict_text(verdict: Verdict) -> Text:
    """*verdict* as icon and word."""
    word, style = STYLES[verdict]
    return Text(word, style=style)


class Progress:
    """Shows the state of each experiment. Use as a context manager."""

    def __init__(self, experiments: Sequence[Experiment], console: Console) -> None:
        self._console = console
        self._titles = {e.id: e.title for e in experiments}
        self._state: dict[str, Text] = {e.id: Text("waiting", style="dim") for e in experiments}
        self._began: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8, transient=True)

    def say(self, text: str) -> None:
        """One line about what takes long."""
        self._console.print(f"· {text}")

    def hear(self, news: News) -> None:
        """Take in what a worker tells."""
        began = self._began.setdefault(news.id, time.monotonic())
        if news.kind == "phase":
            self._state[news.id] = Text(news.text)
            return
        self._took[news.id] = time.monotonic() - began
        self._state[news.id] = (
            verdict_text(Verdict(news.text)) if news.kind == "done" else Text("✗ could not run", style="bold red")
        )
        self._console.print(self._state[news.id], f"{news.id} {self._titles[news.id]} ({self._took[news.id]:.1f} s)")

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 1))
        now = time.monotonic()
        for name, title in self._titles.items():
            if name not in self._took:
                since = f"{now - self._began[name]:.0f} s" if name in self._began else ""
                table.add_row(name, title, self._state[name], since)
        return table

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
