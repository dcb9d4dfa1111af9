"""What a person sees while experiments run: a live table on a terminal, lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaos.results.model import Verdict
from chaos.runner import Job, News

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


class Doing:
    """A line that says what is being done, on a terminal, and nothing anywhere else. Use as a context manager.

    It has no thread of its own: whoever judges forks.

    Args:
        console: where.
        quiet: say nothing there either.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._shown = console.is_terminal and not quiet

    def say(self, text: str) -> None:
        """What is being done from now on."""
        if self._shown:
            self._live.update(Text(f"· {text} …", style="dim"), refresh=True)

    def __enter__(self) -> Self:
        if self._shown:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class Progress:
    """Shows the state of each job. Use as a context manager."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self._console = console
        self._titles = {job.name: job.experiment.title for job in jobs}
        self._state = {name: Text("waiting", style="dim") for name in self._titles}
        self._began: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=8, transient=True)

    def say(self, text: str) -> None:
        """One line about what takes long."""
        self._console.print(f"· {text}", soft_wrap=True)

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
        done = f"{news.id} {self._titles[news.id]} ({self._took[news.id]:.1f} s)"
        self._console.print(self._state[news.id], done, soft_wrap=True)

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
