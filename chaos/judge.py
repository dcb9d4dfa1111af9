"""From a history to a verdict: every checker behind a wall, and the findings as far as the run can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from chaos.checkers.finding import Checker, Columnar
from chaos.checkers.run_itself import KeptSchedule, SteadyAfter, SteadyBefore
from chaos.history import History
from chaos.history.columns import Columns
from chaos.history.fast import WORTH_IT, read_columns
from chaos.results.model import Bite, Finding, Verdict, believed, worst
from chaos.wall import Ask, Wall, judged, without_budget

HISTORY_FILE: Final = "history.jsonl"
Judgement = tuple[Verdict, str, tuple[Finding, ...]]
"""The verdict in one word and in one sentence, and all findings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """What a history is judged by.

    Attributes:
        checkers: of the experiment.
        steady_share: share of operations that must succeed before the fault and at the end.
        bites: the evidence that each fault took hold.
        wall: what each checker may use up.
    """

    checkers: Sequence[Checker]
    steady_share: float
    bites: Sequence[Bite]
    wall: Wall

    def of_folder(self, folder: Path) -> Judgement:
        """Judge the history of *folder*: a long one by columns, where every checker can.

        Raises:
            HistoryError: it is damaged.
            LabError: a checker failed.
        """
        quick = all(isinstance(without_budget(checker), Columnar) for checker in self.checkers)
        if quick and _is_long(folder / HISTORY_FILE):
            return self.of_columns(*read_columns(folder))
        return self.of_history(History.load(folder))

    def of_history(self, history: History) -> Judgement:
        """Judge *history*; raises LabError when a checker failed."""
        return self._judged({o.operation for o in history.operations}, lambda checker: checker(history))

    def of_columns(self, columns: Columns, rest: History) -> Judgement:
        """Judge *columns* and the *rest* of their history; raises LabError when a checker failed."""

        def ask(checker: Checker) -> Finding:
            assert isinstance(checker, Columnar)  # noqa: S101  (of_folder has looked)
            return checker.of_columns(columns, rest)

        return self._judged({columns.kinds[code] for code in np.unique(columns.kind)}, ask)

    def _judged(self, operations: set[str], ask: Ask) -> Judgement:
        share = self.steady_share
        checkers: list[Checker] = [KeptSchedule()]
        checkers += [SteadyBefore(operation=o, share=share) for o in sorted(operations)]
        checkers += self.checkers
        checkers += [SteadyAfter(operation=o, share=share) for o in sorted(operations)]
        return concluded(believed(judged(checkers, ask, self.wall)), self.bites)


def _is_long(path: Path) -> bool:
    return path.exists() and path.stat().st_size >= WORTH_IT


def concluded(findings: tuple[Finding, ...], bites: Sequence[Bite]) -> Judgement:
    """What *findings* come to: a fault that did not bite makes all INVALID; otherwise the worst decides."""
    if toothless := [bite for bite in bites if not bite.held]:
        return Verdict.INVALID, "; ".join(f"the fault did not bite: {bite}" for bite in toothless), findings
    verdict = worst(finding.verdict for finding in findings)
    if verdict is Verdict.HELD:
        return verdict, f"{len(findings)} checks held, {len(bites)} of {len(bites)} faults bit", findings
    return verdict, "; ".join(f"{f.check}: {f.says}" for f in findings if f.verdict is verdict), findings
