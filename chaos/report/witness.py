"""Witnesses as cards: what proves that a check failed, and the stretch of time in which to see it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from chaos.history import Operation
from chaos.report.run import Run
from chaos.results.model import Finding, Verdict

MARGIN_SHARE: Final = 0.25
"""How much of the witness's own length is shown on either side of it, within these seconds."""
MARGIN_S: Final = (0.5, 5.0)

_INDEX: Final = re.compile(r"#(\d+)")
_MOMENT: Final = re.compile(r"(?:at|from|until|to|and|between|before|after) (\d+(?:\.\d+)?) s\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One witness.

    Attributes:
        check, verdict: of the finding that it belongs to.
        says: the witness in words.
        at_s: its first moment; None when it names none.
        start_s, end_s: what to look at, from before until after it.
    """

    check: str
    verdict: Verdict
    says: str
    at_s: float | None = None
    start_s: float = 0.0
    end_s: float = 0.0


def cards(run: Run) -> list[Card]:
    """A card for each witness, the worst verdicts first; findings that failed without one point at the faults."""
    by_index = {o.index: o for o in run.history.operations}
    failed = [f for f in run.result.findings if f.verdict is not Verdict.HELD and (f.checked or f.witness)]
    failed.sort(key=lambda f: list(Verdict).index(f.verdict), reverse=True)
    return [card for finding in failed for card in _of(finding, run, by_index)]


def _of(finding: Finding, run: Run, by_index: Mapping[int, Operation]) -> Iterator[Card]:
    for witness in finding.witness:
        yield _card(finding, witness, run, _moments(witness, run, by_index))
    if not finding.witness:
        times = [run.s(t) for f in run.history.faults for t in (f.sent_ns, f.healed_ns)]
        yield _card(finding, finding.says, run, times)


def _moments(witness: str, run: Run, by_index: Mapping[int, Operation]) -> list[float]:
    """The times of every operation that the witness names by number, else the moments in its words."""
    named = [by_index[int(i)] for i in _INDEX.findall(witness) if int(i) in by_index]
    if named:
        return [run.s(t) for o in named for t in (o.intended_ns, o.answered_ns)]
    return [at_s for at_s in map(float, _MOMENT.findall(witness)) if at_s <= run.length_s]


def _card(finding: Finding, says: str, run: Run, moments: list[float]) -> Card:
    if not moments:
        return Card(check=finding.check, verdict=finding.verdict, says=says)
    first, last = min(moments), max(moments)
    least, most = MARGIN_S
    margin = min(max((last - first) * MARGIN_SHARE, least), most)
    return Card(
        check=finding.check,
        verdict=finding.verdict,
        says=says,
        at_s=first,
        start_s=round(max(0.0, first - margin), 3),
        end_s=round(min(run.length_s, last + margin), 3),
    )
